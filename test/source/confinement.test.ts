// Even an image that gets past our look at its header reaches nothing: the program that reads it has
// no other file, no network, no capability, and limits.
import {
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t, { type Test } from 'tap';
import { addon } from '../../dist/device/index.js';
import { startReader, type ConfinedReader } from '../../dist/source/confined.js';
import { connectionOver } from '../../dist/source/nbd-connection.js';
import { NbdClient } from '../../dist/source/nbd-client.js';
import { mib, patchyRaw, qemuImg } from '../support/foreign.js';
import { sleep } from '../support/world.js';

const driver = 'qcow2';

async function readerOf(t: Test, file: string, contentBytes: number): Promise<ConfinedReader> {
  const runtimeDir = mkdtempSync(path.join(tmpdir(), 'keyvol-reader-'));
  const opened = await open(file);
  const reader = await startReader(
    { addon, runtimeDir },
    { file: opened.fd, driver, contentBytes },
  );
  t.teardown(async () => {
    await reader.end();
    await opened.close();
    rmdirSync(runtimeDir);
  });
  t.same(readdirSync(runtimeDir), [], 'the name of its socket is gone');
  return reader;
}

/** The process that has this file of its own root. */
async function pidOf(program: string): Promise<number> {
  for (let tries = 0; tries < 200; tries += 1) {
    for (const name of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      try {
        const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
        if (words[0]?.endsWith(program) && isChildOfOurs(Number(name))) return Number(name);
      } catch {
        // It has ended meanwhile.
      }
    }
    await sleep(10);
  }
  throw new Error(`${program} does not run`);
}

function isChildOfOurs(pid: number): boolean {
  for (let next = pid; next > 1;) {
    if (next === process.pid) return true;
    const status = readFileSync(`/proc/${next}/status`, 'utf8');
    next = Number(/^PPid:\s+(\d+)/m.exec(status)?.[1]);
  }
  return false;
}

t.test('what the reader has', { timeout: 60_000 }, async (t) => {
  const file = path.join(t.testdir({}), 'a.qcow2');
  qemuImg('create', '-f', 'qcow2', file, '8M');
  const reader = await readerOf(t, file, 8 * mib);
  await NbdClient.open(connectionOver(addon, reader.socket));
  const pid = await pidOf('/qemu-nbd');
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  t.match(status, /^NoNewPrivs:\s+1$/m);
  t.match(status, /^CapEff:\s+0+$/m);
  t.match(status, /^CapBnd:\s+0+$/m);
  for (const space of ['mnt', 'net', 'pid', 'ipc', 'uts', 'user']) {
    const [ours, its] = [process.pid, pid].map((id) => readlinkSync(`/proc/${id}/ns/${space}`));
    t.not(its, ours, `its own namespace: ${space}`);
  }
  const network = readFileSync(`/proc/${pid}/net/dev`, 'utf8').trim().split('\n').slice(2);
  t.ok(
    network.every((line) => line.trim().startsWith('lo:')),
    'no network',
  );
  const mounts = readFileSync(`/proc/${pid}/mountinfo`, 'utf8').trim().split('\n');
  const places = mounts.map((line) => line.split(' ')[4] ?? '');
  const others = places.filter((place) => !/^\/$|^\/image$|\.so[.\d]*$|\/qemu-nbd$/.test(place));
  t.same(others, [], 'no file but its libraries and the image');
  t.ok(
    mounts.every((line) => line.split(' ')[5]?.split(',').includes('ro')),
    'nothing that it could write',
  );
  const limits = readFileSync(`/proc/${pid}/limits`, 'utf8');
  t.match(limits, /^Max address space\s+1073741824\s+1073741824/m);
  t.match(limits, /^Max file size\s+0\s+0/m);
  t.match(limits, /^Max core file size\s+0\s+0/m);
  t.match(limits, /^Max cpu time\s+6\s+6/m);
});

t.test('a backing file that we overlooked is not read', { timeout: 60_000 }, async (t) => {
  const directory = t.testdir({});
  const secret = path.join(directory, 'secret');
  writeFileSync(secret, Buffer.alloc(mib, 's'));
  const file = path.join(directory, 'a.qcow2');
  qemuImg('create', '-f', 'qcow2', '-b', secret, '-F', 'raw', file);
  const reader = await readerOf(t, file, mib);
  const client = await NbdClient.open(connectionOver(addon, reader.socket));
  const seen = Buffer.alloc(4096, 'x');
  await client.read(seen, 0);
  t.ok(seen.equals(Buffer.alloc(4096)), 'zeros');
});

t.test('a data file that we overlooked is not there', { timeout: 60_000 }, async (t) => {
  const directory = t.testdir({});
  const file = path.join(directory, 'a.qcow2');
  qemuImg('create', '-f', 'qcow2', '-o', `data_file=${path.join(directory, 'data')}`, file, '1M');
  const reader = await readerOf(t, file, mib);
  await t.rejects(NbdClient.open(connectionOver(addon, reader.socket)), { code: 'IO_ERROR' });
  t.match(reader.said(), /No such file or directory/);
});

t.test('one that never answers ends with the import', { timeout: 60_000 }, async (t) => {
  const directory = t.testdir({});
  const file = path.join(directory, 'a.qcow2');
  patchyRaw(`${file}.raw`, 8 * mib);
  qemuImg('convert', '-f', 'raw', '-O', 'qcow2', `${file}.raw`, file);
  const reader = await readerOf(t, file, 8 * mib);
  const client = await NbdClient.open(connectionOver(addon, reader.socket));
  const pid = await pidOf('/qemu-nbd');
  process.kill(pid, 'SIGSTOP');
  const reading = client.read(Buffer.alloc(mib), 0);
  reading.catch(() => undefined);
  await sleep(50);
  reader.kill();
  await t.rejects(reading, { code: 'IO_ERROR' });
});
