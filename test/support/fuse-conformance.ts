/** What every FUSE driver answers, run on each of them; the judges are the kernel and its tools. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readdir, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Test } from 'tap';
import {
  eventually,
  exportVolume,
  type FuseDriver,
  mountEmpty,
  mountVolume,
  readFileAt,
  run,
  runOk,
  writeFileAt,
} from './fuse.js';
import { isZero, MIB, newLayer, openStack, pattern, SECTOR_BYTES } from './layers.js';

const sizeBytes = 8 * MIB;

export async function conformance(root: Test, driver: FuseDriver): Promise<void> {
  await root.test('bytes', (t) => bytes(t, driver));
  await root.test('sizes and truncation', (t) => sizes(t, driver));
  await root.test('the end of the disk', (t) => endOfDisk(t, driver));
  await root.test('holes', (t) => holes(t, driver));
  await root.test('shared mappings', (t) => mappings(t, driver));
  await root.test('names', (t) => names(t, driver));
  await root.test('owners and read-only disks', (t) => permissions(t, driver));
  await root.test('handles', (t) => handles(t, driver));
  await root.test('one writer', (t) => exclusive(t, driver));
  await root.test('the gate', (t) => gate(t, driver));
}

async function bytes(t: Test, driver: FuseDriver): Promise<void> {
  const { path, device } = await mountVolume(t, sizeBytes, driver);
  t.ok(isZero(await readFileAt(path, 0, MIB)), 'an unwritten disk reads as zeros');

  for (const length of [1, 511, 512, SECTOR_BYTES - 1, SECTOR_BYTES, SECTOR_BYTES + 1, MIB + 1]) {
    for (const offset of [0, 1, SECTOR_BYTES - 1, SECTOR_BYTES]) {
      const data = pattern(length, length + offset);
      t.equal(await writeFileAt(path, offset, data), length);
      const seen = await readFileAt(path, offset, length);
      t.ok(seen.equals(data), `${length} bytes at ${offset} read back`);
    }
  }
  const neighbour = pattern(3 * SECTOR_BYTES, 1);
  await writeFileAt(path, 0, neighbour);
  await writeFileAt(path, SECTOR_BYTES + 100, pattern(10, 2));
  pattern(10, 2).copy(neighbour, SECTOR_BYTES + 100);
  const seen = await readFileAt(path, 0, neighbour.length);
  t.ok(seen.equals(neighbour), 'a write inside a sector leaves the rest of it');
  const direct = Buffer.alloc(neighbour.length);
  await device.read(direct, 0);
  t.ok(direct.equals(neighbour), 'the device holds the same bytes');

  const file = await open(path, 'r+');
  await file.sync();
  await file.datasync();
  await file.close();
}

async function sizes(t: Test, driver: FuseDriver): Promise<void> {
  const { path, directory } = await mountVolume(t, sizeBytes, driver);
  const attributes = await stat(path);
  t.match({ size: attributes.size, nlink: attributes.nlink }, { size: sizeBytes, nlink: 1 });
  const data = pattern(SECTOR_BYTES, 3);
  await writeFileAt(path, 0, data);
  t.ok((await stat(path)).blocks > 0, 'written sectors count as blocks');

  await (await open(path, 'w')).close();
  for (const size of [0, 1, sizeBytes - 1, sizeBytes + 1]) {
    await runOk('truncate', '-s', String(size), path);
  }
  t.equal((await stat(path)).size, sizeBytes, 'no truncation changes the size');
  t.ok((await readFileAt(path, 0, data.length)).equals(data), 'nor the bytes');

  const source = join(directory, 'source');
  await runOk('dd', 'if=/dev/urandom', `of=${source}`, 'bs=64k', 'count=3', 'status=none');
  for (const conversion of ['notrunc', 'fsync']) {
    await runOk('dd', `if=${source}`, `of=${path}`, 'bs=5000', `conv=${conversion}`, 'status=none');
    await runOk('cmp', '-n', String(3 * 65536), source, path);
  }
  t.equal((await stat(path)).size, sizeBytes, 'dd leaves the size');
}

async function endOfDisk(t: Test, driver: FuseDriver): Promise<void> {
  const { path } = await mountVolume(t, sizeBytes, driver);
  t.equal((await readFileAt(path, sizeBytes - 1, 2)).length, 1, 'a read stops at the end');
  for (const offset of [sizeBytes, sizeBytes + 1, sizeBytes + MIB]) {
    t.equal((await readFileAt(path, offset, 10)).length, 0, `a read at ${offset} is empty`);
    await t.rejects(writeFileAt(path, offset, Buffer.from('x')), { code: 'ENOSPC' });
  }
  t.equal(await writeFileAt(path, sizeBytes - 3, pattern(5, 4)), 3, 'a write stops at the end');
  t.ok((await readFileAt(path, sizeBytes - 3, 5)).equals(pattern(5, 4).subarray(0, 3)));
  t.equal((await stat(path)).size, sizeBytes);
}

async function holes(t: Test, driver: FuseDriver): Promise<void> {
  const { path } = await mountVolume(t, sizeBytes, driver);
  await writeFileAt(path, MIB, pattern(2 * MIB, 5));
  const punched = await run('fallocate', '-p', '-o', String(MIB), '-l', String(MIB), path);
  const zeroed = await run('fallocate', '-z', '-n', '-o', String(2 * MIB), '-l', '1000', path);
  if (!driver.capabilities.fallocate) {
    t.not(punched.code, 0, 'punching is refused');
    t.match(punched.stderr, /not supported|unsupported/);
    t.ok((await readFileAt(path, MIB, MIB)).equals(pattern(2 * MIB, 5).subarray(0, MIB)));
    return;
  }
  t.equal(punched.code, 0, punched.stderr);
  t.equal(zeroed.code, 0, zeroed.stderr);
  t.ok(isZero(await readFileAt(path, MIB, MIB + 1000)), 'what was punched or zeroed is zeros');
  const after = await readFileAt(path, 2 * MIB + 1000, 1000);
  t.ok(after.equals(pattern(2 * MIB, 5).subarray(MIB + 1000, MIB + 2000)), 'the rest stays');
  const allocated = await run('fallocate', '-l', String(MIB), path);
  t.match(allocated.stderr, /not supported/, 'space is not promised');
  await runOk('fallocate', '-p', '-o', String(sizeBytes - 10), '-l', String(MIB), path);
  t.equal((await stat(path)).size, sizeBytes, 'a hole beyond the end changes no size');

  if (!driver.capabilities.seekHole) return;
  const seek = await runOk('xfs_io', '-r', '-c', 'seek -a -r 0', path);
  t.match(seek, /HOLE\s+0\s+DATA\s+2097152\s+HOLE\s+3145728/, 'lseek tells data from holes');
  t.match(await runOk('xfs_io', '-r', '-c', `seek -d ${sizeBytes}`, path), /EOF/);
}

async function mappings(t: Test, driver: FuseDriver): Promise<void> {
  const { path, session, device } = await mountVolume(t, sizeBytes, driver);
  const write = ['-c', 'mmap 0 64k', '-c', 'mwrite -S 0x61 4000 200', '-c', 'msync -s 0 64k'];
  const mapped = await run('xfs_io', ...write, path);
  if (!driver.capabilities.sharedMappings) {
    t.match(mapped.stderr, /No such device/, 'a shared mapping is refused');
    return;
  }
  t.equal(mapped.code, 0, mapped.stderr);
  t.ok((await readFileAt(path, 4000, 200)).equals(Buffer.alloc(200, 0x61)), 'msync writes');
  await session.dropMappedPages('vol');
  const seen = Buffer.alloc(200);
  await device.read(seen, 4000);
  t.ok(seen.equals(Buffer.alloc(200, 0x61)));
}

async function names(t: Test, driver: FuseDriver): Promise<void> {
  const mounted = await mountVolume(t, sizeBytes, driver);
  const { mountPoint, path, session, device } = mounted;
  const mounts = await runOk('findmnt', '-n', '-o', 'SOURCE,FSTYPE,OPTIONS', mountPoint);
  t.match(mounts, /^keyvol\s+fuse\.keyvol\s.*nosuid,nodev.*default_permissions/);
  t.strictSame((await readdir(mountPoint)).sort(), ['images', 'volumes']);
  t.strictSame(await readdir(join(mountPoint, 'volumes')), ['vol']);
  t.strictSame(await readdir(join(mountPoint, 'images')), []);
  await t.rejects(stat(join(mountPoint, 'volumes', 'nope')), { code: 'ENOENT' });
  await t.rejects(stat(join(mountPoint, 'nope')), { code: 'ENOENT' });

  for (const command of [
    ['mkdir', join(mountPoint, 'volumes', 'd')],
    ['touch', join(mountPoint, 'volumes', 'new')],
    ['rm', path],
    ['mv', path, `${path}2`],
    ['ln', path, `${path}2`],
    ['ln', '-s', path, `${path}2`],
    ['chmod', '0666', path],
    ['chown', '1', path],
    ['rmdir', join(mountPoint, 'images')],
  ] as const) {
    const [program, ...args] = command;
    const { code, stderr } = await run(program, ...args);
    t.not(code, 0, `${program} is refused`);
    t.match(stderr, /Operation not permitted/);
  }

  t.throws(() => exportVolume(mounted, 'vol', device), { code: 'FILE_EXISTS' });
  for (let i = 0; i < 300; i += 1) exportVolume(mounted, `volume-with-a-longer-name-${i}`, device);
  t.equal((await readdir(join(mountPoint, 'volumes'))).length, 301, 'a long directory is whole');
  session.rename('volume-with-a-longer-name-7', 'seven');
  t.equal((await stat(join(mountPoint, 'volumes', 'seven'))).size, sizeBytes);
  await t.rejects(stat(join(mountPoint, 'volumes', 'volume-with-a-longer-name-7')), {
    code: 'ENOENT',
  });
  t.throws(() => session.rename('vol', 'seven'), { code: 'FILE_EXISTS' });
  t.throws(() => session.rename('none', 'x'), { code: 'FILE_NOT_FOUND' });
  t.throws(() => session.remove('none'), { code: 'FILE_NOT_FOUND' });

  const statistics = await statfs(mountPoint);
  t.equal(statistics.bsize * statistics.blocks, 301 * sizeBytes, 'statfs counts the sizes');
  t.equal(statistics.files, 301);
}

async function permissions(t: Test, driver: FuseDriver): Promise<void> {
  const mounted = await mountEmpty(t, driver);
  const { session, mountPoint, directory } = mounted;
  const device = await openStack(t, [newLayer(directory, sizeBytes)]);
  const common = {
    directory: 'images',
    device,
    readOnly: true,
    cache: 'direct',
    uid: 65534,
    gid: 65534,
  } as const;
  session.add({ ...common, id: 'i', name: 'shown', mode: 0o644 });
  session.add({ ...common, id: 'j', name: 'hidden', mode: 0o600, uid: 0, gid: 0 });
  const shown = join(mountPoint, 'images', 'shown');
  const { mode, uid, gid } = await stat(shown);
  t.strictSame({ mode: mode & 0o7777, uid, gid }, { mode: 0o444, uid: 65534, gid: 65534 });

  await t.rejects(open(shown, 'r+'), { code: 'EROFS' }, 'an image opens for reading only');
  await t.rejects(open(shown, 'w'), { code: 'EROFS' });
  await t.rejects(open(shown, 'a'), { code: 'EROFS' });
  t.ok(isZero(await readFileAt(shown, 0, 100)));
  const asNobody = (path: string) =>
    run('setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', 'head', '-c1', path);
  t.equal((await asNobody(shown)).code, 0, 'its owner reads it');
  t.match((await asNobody(join(mountPoint, 'images', 'hidden'))).stderr, /Permission denied/);
}

async function handles(t: Test, driver: FuseDriver): Promise<void> {
  const { session, path, device } = await mountVolume(t, sizeBytes, driver);
  const counted = (own: number, others: number) =>
    eventually(() => {
      const counts = session.openHandles('vol');
      return driver.capabilities.knowsOwner
        ? counts.own === own && counts.others === others
        : counts.own + counts.others === own + others;
    });
  t.ok(await counted(0, 0));
  const mine = await open(path, 'r+');
  t.ok(await counted(1, 0), 'our own handle is counted');
  const sleeper = run('sh', '-c', `exec 3<${path}; sleep 1; head -c1 <&3`);
  t.ok(await counted(1, 1), "another process's handle is counted");

  session.revokeHandles('vol', 'own');
  await t.rejects(mine.read(Buffer.alloc(1), 0, 1, 0), { code: 'EIO' });
  await t.rejects(mine.write(Buffer.alloc(1), 0, 1, 0), { code: 'EIO' });
  await t.rejects(mine.sync(), { code: 'EIO' });
  if (driver.capabilities.knowsOwner) {
    t.equal((await sleeper).code, 0, 'the handle of the other process still reads');
  } else {
    t.not((await sleeper).code, 0, 'the driver cannot tell them apart and revoked both');
  }
  await mine.close();
  t.ok(await counted(0, 0), 'closed handles are gone');
  t.ok(isZero(await readFileAt(path, 0, 10)), 'a new handle works');

  const held = await open(path, 'r');
  session.remove('vol');
  await t.rejects(held.read(Buffer.alloc(1), 0, 1, 0), { code: 'EIO' }, 'its file was removed');
  await t.rejects(stat(path), { code: 'ENOENT' });
  const probe = Buffer.alloc(1, 1);
  await device.read(probe, 0);
  t.equal(probe[0], 0, 'the device stays open');
  await held.close();
}

async function exclusive(t: Test, driver: FuseDriver): Promise<void> {
  const { session, path } = await mountVolume(t, sizeBytes, driver);
  const write = ['if=/dev/zero', `of=${path}`, 'count=1', 'conv=notrunc', 'status=none'];
  session.setExclusive('vol', true);
  const mine = await open(path, 'r+');
  const refused = await run('dd', ...write);
  t.not(refused.code, 0, 'another process does not write beside us');
  t.match(refused.stderr, /busy/i);
  await runOk('head', '-c1', path);
  t.equal((await mine.write(Buffer.alloc(1), 0, 1, 0)).bytesWritten, 1, 'we do');
  await mine.close();

  session.setExclusive('vol', false);
  await runOk('dd', ...write);
  t.ok(await eventually(() => session.openHandles('vol').others === 0));
  const writer = spawn('sh', ['-c', `exec 3<>${path}; echo ready; read line`]);
  const ended = once(writer, 'exit');
  await once(writer.stdout, 'data');
  t.throws(() => session.setExclusive('vol', true), { code: 'BUSY', message: /vol/ });
  await runOk('dd', ...write);
  writer.stdin.end();
  await ended;
  t.ok(await eventually(() => session.openHandles('vol').others === 0));
  session.setExclusive('vol', true);
  t.throws(() => session.setExclusive('none', true), { code: 'FILE_NOT_FOUND' });
  session.setExclusive('none', false);
}

async function gate(t: Test, driver: FuseDriver): Promise<void> {
  const mounted = await mountEmpty(t, driver);
  const layer = newLayer(mounted.directory, sizeBytes);
  const device = await openStack(t, [layer]);
  const path = exportVolume(mounted, 'vol', device);
  const data = pattern(SECTOR_BYTES, 6);
  const file = await open(path, 'r+');
  await file.write(data, 0, data.length, 0);

  await device.cutOff(1000);
  await t.rejects(file.read(Buffer.alloc(1), 0, 1, 0), { code: 'EIO' });
  await t.rejects(file.write(Buffer.alloc(1), 0, 1, 0), { code: 'EIO' });
  await t.rejects(file.sync(), { code: 'EIO' });
  t.equal((await file.stat()).size, sizeBytes, 'attributes need no key');
  await (await open(path, 'r+')).close();

  await device.restore([layer.dataKey]);
  const { buffer } = await file.read(Buffer.alloc(data.length), 0, data.length, 0);
  t.ok(buffer.equals(data), 'the same handle reads the same bytes again');
  t.equal((await file.write(data, 0, data.length, SECTOR_BYTES)).bytesWritten, data.length);
  await file.close();
}
