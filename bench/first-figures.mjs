/**
 * The first figures of the README: memory of the daemon with 20 attached volumes, the time of
 * `keyvol key list`, and throughput beside QEMU's storage daemon (LUKS over FUSE) on the same
 * RAM-backed files, in turn. Needs root, fio and qemu-storage-daemon; prints Markdown.
 */
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const cli = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const directory = mkdtempSync('/dev/shm/keyvol-figures-');
const rounds = Number(process.env.KEYVOL_FIGURE_ROUNDS ?? '3');
const seconds = Number(process.env.KEYVOL_FIGURE_SECONDS ?? '4');
const attachedVolumes = 20;
const sizeBytes = 2 ** 30;

const jobs = [
  { name: '4 KiB random read, depth 1', unit: 'IOPS', rw: 'randread', bs: '4k', depth: 1 },
  { name: '4 KiB random read, depth 16', unit: 'IOPS', rw: 'randread', bs: '4k', depth: 16 },
  { name: '4 KiB random write, depth 1', unit: 'IOPS', rw: 'randwrite', bs: '4k', depth: 1 },
  { name: '4 KiB random write, depth 16', unit: 'IOPS', rw: 'randwrite', bs: '4k', depth: 16 },
  { name: '1 MiB sequential read, depth 4', unit: 'MB/s', rw: 'read', bs: '1m', depth: 4 },
  { name: '1 MiB sequential write, depth 4', unit: 'MB/s', rw: 'write', bs: '1m', depth: 4 },
];

function run(file, ...args) {
  return execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

function keyvol(...args) {
  const directories = [
    '--state-dir',
    join(directory, 'state'),
    '--runtime-dir',
    join(directory, 'run'),
  ];
  return run(process.execPath, cli, ...directories, ...args);
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

function fill(path) {
  const options = ['--rw=write', '--bs=1m', '--direct=1', `--size=${sizeBytes}`];
  run('fio', '--name=fill', `--filename=${path}`, '--ioengine=libaio', ...options);
}

function measure(path, { rw, bs, depth, unit }) {
  const load = [`--rw=${rw}`, `--bs=${bs}`, `--iodepth=${depth}`, `--size=${sizeBytes}`];
  const timing = ['--direct=1', '--time_based', `--runtime=${seconds}`, '--output-format=json'];
  const report = run(
    'fio',
    '--name=job',
    `--filename=${path}`,
    '--ioengine=libaio',
    ...load,
    ...timing,
  );
  const side = JSON.parse(report).jobs[0][rw.includes('read') ? 'read' : 'write'];
  return unit === 'IOPS' ? side.iops : side.bw_bytes / 1e6;
}

/** QEMU's storage daemon exporting a LUKS file over FUSE: its export path and a way to stop it. */
async function startQemu() {
  const image = join(directory, 'qemu.luks');
  const exported = join(directory, 'qemu.raw');
  const secret = ['--object', 'secret,id=s,data=a-test-passphrase'];
  const format = ['-f', 'luks', '-o', 'key-secret=s,iter-time=2000'];
  run('qemu-img', 'create', ...secret, ...format, image, String(sizeBytes));
  closeSync(openSync(exported, 'w'));
  const child = spawn(
    'qemu-storage-daemon',
    [
      ...['--object', 'secret,id=s,data=a-test-passphrase'],
      ...['--blockdev', `driver=file,node-name=file,filename=${image}`],
      ...['--blockdev', 'driver=luks,node-name=luks,file=file,key-secret=s'],
      ...['--export', `type=fuse,id=e,node-name=luks,mountpoint=${exported},writable=on`],
    ],
    { stdio: 'inherit' },
  );
  while (!readFileSync('/proc/mounts', 'utf8').includes(exported)) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return { exported, stop: () => stopChild(child) };
}

async function stopChild(child) {
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await ended;
}

function memoryOfDaemon() {
  for (let index = 1; index <= attachedVolumes; index += 1) {
    keyvol('volume', 'create', `m${index}`, '--size', '1G');
    keyvol('volume', 'attach', `m${index}`);
  }
  const { pid } = JSON.parse(keyvol('status', '--json'));
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const residentMib = Number(/VmRSS:\s+(\d+)/.exec(status)[1]) / 1024;
  for (let index = 1; index <= attachedVolumes; index += 1) keyvol('volume', 'detach', `m${index}`);
  return residentMib;
}

function timeOfKeyList() {
  const times = [];
  for (let index = 0; index < 15; index += 1) {
    const startedNs = process.hrtime.bigint();
    keyvol('key', 'list');
    times.push(Number(process.hrtime.bigint() - startedNs) / 1e6);
  }
  return median(times);
}

async function compare() {
  keyvol('volume', 'create', 'v', '--size', String(sizeBytes));
  keyvol('volume', 'attach', 'v');
  const ours = join(directory, 'run/disks/volumes/v');
  const qemu = await startQemu();
  try {
    fill(ours);
    fill(qemu.exported);
    return jobs.map((job) => {
      const figures = { ours: [], theirs: [] };
      for (let round = 0; round < rounds; round += 1) {
        figures.ours.push(measure(ours, job));
        figures.theirs.push(measure(qemu.exported, job));
      }
      return { job, ours: median(figures.ours), theirs: median(figures.theirs) };
    });
  } finally {
    await qemu.stop();
    keyvol('volume', 'detach', 'v');
  }
}

function print(residentMib, keyListMs, rows) {
  console.log(`| what | figure |\n| --- | --- |`);
  console.log(
    `| resident memory, ${attachedVolumes} attached volumes | ${residentMib.toFixed(0)} MiB |`,
  );
  console.log(`| \`keyvol key list\`, median of 15 | ${keyListMs.toFixed(0)} ms |\n`);
  console.log('| job | keyvol | QEMU storage daemon | ratio |\n| --- | --- | --- | --- |');
  for (const { job, ours, theirs } of rows) {
    const figures = `${ours.toFixed(0)} ${job.unit} | ${theirs.toFixed(0)} ${job.unit}`;
    console.log(`| ${job.name} | ${figures} | ${(ours / theirs).toFixed(1)} |`);
  }
}

mkdirSync(join(directory, 'run'));
try {
  keyvol('daemon', 'start');
  const residentMib = memoryOfDaemon();
  const keyListMs = timeOfKeyList();
  print(residentMib, keyListMs, await compare());
} finally {
  keyvol('daemon', 'stop');
  rmSync(directory, { recursive: true, force: true });
}
