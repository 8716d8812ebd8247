// An image that names a file or a server of the host is refused before anything is opened or started:
// CVE-2015-5163, CVE-2022-47951, CVE-2024-4467, CVE-2024-32498.
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { mib, patchyRaw, qemuImg, sha256OfFile } from '../support/foreign.js';

const run = promisify(execFile);
const script = fileURLToPath(new URL('../support/read-image.js', import.meta.url));
/** Nothing else that runs here has this name, and no image may make us open it. */
const secretName = 'keyvol-not-to-be-opened';

interface Traced {
  readonly said: string;
  /** Calls with a file's name or on a socket, and programs, of the whole tree of processes. */
  readonly calls: readonly string[];
}

/** What an import of `file` says, and does to the host. */
async function trace(directory: string, file: string, format: string): Promise<Traced> {
  const log = path.join(directory, 'trace');
  const options = ['-f', '-qq', '-s', '4096', '-e', 'trace=%file,%network', '-o', log];
  const { stdout } = await run('strace', [...options, process.execPath, script, file, format]);
  return { said: stdout.trim(), calls: readFileSync(log, 'utf8').split('\n') };
}

/** Opens of the image itself, by us, and nothing of what it names. */
function assertNothingElse(t: Test, { calls }: Traced, named: string): void {
  t.equal(
    calls.filter((call) => call.includes('execve')).length,
    1,
    'no program but ours was started',
  );
  t.same(
    calls.filter((call) => call.includes(named)),
    [],
    `nothing was done with ${named}`,
  );
  t.same(
    calls.filter((call) => /AF_INET|AF_NETLINK|connect\(/.test(call)),
    [],
    'no socket was opened',
  );
}

t.test('backing files by whatever name', { timeout: 120_000 }, async (t) => {
  const directory = t.testdir();
  const secret = path.join(directory, secretName);
  writeFileSync(secret, Buffer.alloc(mib, 's'));
  const names = [
    secret,
    `../${path.basename(directory)}/${secretName}`,
    `json:{"driver":"file","filename":"${secret}"}`,
    `json:{"driver":"qcow2","file":{"driver":"file","filename":"${secret}"}}`,
    `nbd://127.0.0.1:10809/${secretName}`,
    `ssh://127.0.0.1/${secretName}`,
    `fd:${secretName}`,
    `file:${secret}`,
    `blkdebug::${secret}`,
  ];
  for (const [index, name] of names.entries()) {
    const file = path.join(directory, `a${index}.qcow2`);
    qemuImg('create', '-u', '-f', 'qcow2', '-b', name, '-F', 'raw', file, '1M');
    const traced = await trace(directory, file, 'qcow2');
    t.equal(traced.said, `${file} has a backing file, which is refused`, name);
    assertNothingElse(t, traced, secretName);
  }
});

t.test('an external data file', { timeout: 60_000 }, async (t) => {
  const directory = t.testdir();
  const file = path.join(directory, 'a.qcow2');
  const data = path.join(directory, secretName);
  qemuImg('create', '-f', 'qcow2', '-o', `data_file=${data}`, file, '1M');
  const traced = await trace(directory, file, 'qcow2');
  t.equal(traced.said, `${file} has an external data file, which is refused`);
  assertNothingElse(t, traced, secretName);
});

t.test('extents and parents of a VMDK', { timeout: 120_000 }, async (t) => {
  const directory = t.testdir();
  writeFileSync(path.join(directory, secretName), Buffer.alloc(mib, 's'));
  mkdirSync(path.join(directory, 'sub'));
  symlinkSync(path.join(directory, secretName), path.join(directory, 'sub', 'link'));
  const extents = [
    `RW 128 FLAT "${path.join(directory, secretName)}" 0`,
    `RW 128 FLAT "../${path.basename(directory)}/${secretName}" 0`,
    `RW 128 FLAT "sub/link" 0`,
    `RW 128 VMFS "${secretName}"`,
    `RW 128 RDM "${secretName}"`,
    `RW 128 SPARSE "${secretName}"`,
  ];
  for (const [index, extent] of extents.entries()) {
    const descriptor = `# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType="monolithicFlat"\n\n${extent}\n`;
    const file = path.join(directory, `f${index}.vmdk`);
    writeFileSync(file, descriptor.padEnd(4096, '\0'));
    const traced = await trace(directory, file, 'vmdk');
    t.match(traced.said, /only names the files that hold its content, which is refused/, extent);
    assertNothingElse(t, traced, secretName);
    assertNothingElse(t, traced, 'sub/link');

    const inside = path.join(directory, `s${index}.vmdk`);
    qemuImg('create', '-f', 'vmdk', inside, '1M');
    const image = readFileSync(inside);
    image.fill(0, 512, 512 + 4096).write(descriptor, 512);
    writeFileSync(inside, image);
    if (extent.includes('SPARSE')) continue;
    const other = await trace(directory, inside, 'vmdk');
    t.match(other.said, /names other files that hold its content, which is refused/, extent);
    assertNothingElse(t, other, secretName);
  }
});

t.test('a parent of a VMDK, a VHD, a VDI', { timeout: 60_000 }, async (t) => {
  const directory = t.testdir();
  const change = async (ending: string, driver: string, edit: (image: Buffer) => void) => {
    const file = path.join(directory, `child.${ending}`);
    qemuImg('create', '-f', driver, file, '4M');
    const image = readFileSync(file);
    edit(image);
    writeFileSync(file, image);
    const traced = await trace(directory, file, ending);
    t.match(traced.said, /has a parent disk, which is refused/, ending);
    assertNothingElse(t, traced, secretName);
  };
  await change('vmdk', 'vmdk', (image) => {
    image.write('parentCID=12345678\nparentFileNameHint="keyvol-not-to-be-opened"\n', 560);
  });
  await change('vhd', 'vpc', (image) => image.writeUInt32BE(4, 60));
  await change('vdi', 'vdi', (image) => image.fill(1, 440, 456));
});

t.test('what a raw disk holds is not looked at', { timeout: 60_000 }, async (t) => {
  const directory = t.testdir();
  const file = path.join(directory, 'disk.raw');
  qemuImg('create', '-u', '-f', 'qcow2', '-b', `/${secretName}`, '-F', 'raw', file, '1M');
  const traced = await trace(directory, file, 'raw');
  t.equal(traced.said, sha256OfFile(file));
  assertNothingElse(t, traced, secretName);
});

t.test('the trace would show it', { timeout: 60_000 }, async (t) => {
  const directory = t.testdir();
  const raw = path.join(directory, 'raw');
  patchyRaw(raw, 4 * mib);
  const file = path.join(directory, 'good.qcow2');
  qemuImg('convert', '-f', 'raw', '-O', 'qcow2', raw, file);
  const { said, calls } = await trace(directory, file, 'qcow2');
  t.equal(said, sha256OfFile(raw));
  t.ok(
    calls.some((call) => /execve\(".*qemu-nbd"/.test(call)),
    'a program was started',
  );
  t.ok(
    calls.some((call) => call.includes('openat(AT_FDCWD, "/image"')),
    'the reader opened the image',
  );
  t.same(
    calls.filter((call) => call.includes('AF_INET')),
    [],
    'and no network',
  );
});
