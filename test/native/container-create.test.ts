// A container is a LUKS2 file to the world: stock cryptsetup must recognise it, accept its key and
// refuse another one.
import { readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { addon } from '../../dist/device/index.js';
import {
  cryptsetup,
  cryptsetupStatus,
  dataOffsetBytes,
  hasCryptsetup,
  newContainer,
  sha256Of,
  tokenText,
} from '../support/containers.js';
import type { Metadata } from '../support/luks-header.js';
import { isRoot, smallFilesystem, tempDirectory } from '../support/temp.js';

const foreign = { skip: !hasCryptsetup && 'cryptsetup is not installed' };
const layerId = '0f9b2c1d-7e64-4a8f-b3c5-d2e1f0a9b8c7';

t.test('cryptsetup reads the header as the design has it', foreign, async (t) => {
  const { path, layerId, sizeBytes } = await newContainer(tempDirectory(t), 64 * 4096);
  cryptsetup(['isLuks', '--type', 'luks2', path]);
  t.equal(cryptsetup(['luksUUID', path]).trim(), layerId);
  // cryptsetup's own metadata, of a header that has all five members.
  const metadata = JSON.parse(cryptsetup(['luksDump', '--dump-json-metadata', path])) as Metadata;
  t.same(metadata.segments, {
    0: {
      type: 'crypt',
      offset: String(dataOffsetBytes),
      size: 'dynamic',
      iv_tweak: '0',
      encryption: 'aes-xts-plain64',
      sector_size: 4096,
    },
  });
  t.same(metadata.config, { json_size: '12288', keyslots_size: '524288' });
  t.same(metadata.keyslots, {});
  t.same(metadata.tokens, { 0: JSON.parse(tokenText(layerId, sizeBytes)) });
});

t.test('cryptsetup accepts the data key and refuses another', foreign, async (t) => {
  const directory = tempDirectory(t);
  const { path, dataKey } = await newContainer(directory);
  const test = (keyFile: string) =>
    cryptsetupStatus([
      ...['open', '--test-passphrase', '--volume-key-file', keyFile, '--key-size', '512', path],
    ]);
  const [right, wrong] = [join(directory, 'right'), join(directory, 'wrong')];
  addon.exportKeyFile(dataKey, right);
  addon.exportKeyFile(addon.generateDataKey(), wrong);
  t.equal(test(right), 0);
  t.equal(test(wrong), 2);
});

t.test('its key is verified, and another one is not', async (t) => {
  const { path, dataKey } = await newContainer(tempDirectory(t));
  await addon.verifyContainerKey(path, dataKey);
  for (const key of [addon.generateDataKey(), addon.randomSecret(32), addon.randomSecret(65)]) {
    await t.rejects(addon.verifyContainerKey(path, key), { code: 'INTEGRITY_FAILED' });
  }
});

t.test('reading gives back what was made, and writes nothing', async (t) => {
  const container = await newContainer(tempDirectory(t), 12 * 4096);
  const before = sha256Of(container.path);
  const { token, ...header } = await addon.readContainerHeader(container.path);
  t.same(header, {
    layerId: container.layerId,
    cipher: 'aes-xts-plain64',
    dataOffsetBytes,
    sectorBytes: 4096,
    fileBytes: dataOffsetBytes + 12 * 4096,
    damagedCopies: 0,
  });
  t.same(JSON.parse(token), JSON.parse(tokenText(container.layerId, 12 * 4096)));
  await addon.verifyContainerKey(container.path, container.dataKey);
  t.equal(sha256Of(container.path), before);
});

t.test('the file is private, sparse, and exactly the header and the disk', async (t) => {
  const old = process.umask(0);
  t.teardown(() => process.umask(old));
  const { path } = await newContainer(tempDirectory(t), 2 ** 40);
  const { mode, size, blocks } = statSync(path);
  t.equal(mode & 0o7777, 0o600);
  t.equal(size, dataOffsetBytes + 2 ** 40);
  t.ok(blocks * 512 <= 256 * 1024, `${blocks} blocks`);
});

t.test('a preallocated one holds all its space', async (t) => {
  const { path, sizeBytes } = await newContainer(tempDirectory(t), 8 * 1024 * 1024, true);
  t.ok(statSync(path).blocks * 512 >= sizeBytes);
});

t.test('the size is a positive multiple of 4096', async (t) => {
  const directory = tempDirectory(t);
  const key = addon.generateDataKey();
  const create = async (sizeBytes: number) =>
    addon.createContainer(
      {
        path: join(directory, `${sizeBytes}.luks`),
        layerId,
        sizeBytes,
        token: tokenText(layerId, sizeBytes),
        preallocate: false,
      },
      key,
    );
  for (const sizeBytes of [4096, 8192]) await create(sizeBytes);
  for (const sizeBytes of [0, 1, 4095, 4097, 8191, 8193, -4096, 2 ** 53, Number.NaN]) {
    await t.rejects(create(sizeBytes), { code: 'INVALID_ARGUMENT' }, String(sizeBytes));
  }
  t.same(readdirSync(directory).sort(), ['4096.luks', '8192.luks']);
});

t.test('nothing is created that would be refused later', async (t) => {
  const directory = tempDirectory(t);
  const options = {
    path: join(directory, 'a.luks'),
    layerId,
    sizeBytes: 4096,
    token: tokenText(layerId, 4096),
    preallocate: false,
  };
  const key = addon.generateDataKey();
  const other = '11111111-2222-3333-4444-555555555555';
  const tokens = [
    '',
    '{',
    '[]',
    '{"type":"keyvol","keyslots":[]}',
    tokenText(layerId, 4096).replace('keyvol', 'other'),
    tokenText(layerId, 8192),
    tokenText(other, 4096),
  ];
  for (const token of tokens) {
    await t.rejects(async () => addon.createContainer({ ...options, token }, key), {
      code: 'INVALID_ARGUMENT',
    });
  }
  const badKeys = [addon.randomSecret(32), addon.secretFromTestKey(Buffer.alloc(64, 1))];
  for (const badKey of badKeys) {
    await t.rejects(async () => addon.createContainer(options, badKey), {
      code: 'INVALID_ARGUMENT',
    });
  }
  t.same(readdirSync(directory), []);
});

t.test('what exists is never touched', async (t) => {
  const directory = tempDirectory(t);
  const key = addon.generateDataKey();
  writeFileSync(join(directory, 'file'), 'precious');
  symlinkSync(join(directory, 'nowhere'), join(directory, 'link'));
  for (const name of ['file', 'link']) {
    const path = join(directory, name);
    const token = tokenText(layerId, 4096);
    await t.rejects(
      async () =>
        addon.createContainer({ path, layerId, sizeBytes: 4096, token, preallocate: false }, key),
      { code: 'FILE_EXISTS' },
    );
  }
  t.same(readdirSync(directory).sort(), ['file', 'link']);
});

t.test('no space leaves nothing behind', { skip: !isRoot && 'needs root' }, async (t) => {
  const directory = smallFilesystem(t, '4m');
  await t.rejects(newContainer(directory, 8 * 1024 * 1024, true), { code: 'NO_SPACE' });
  t.same(readdirSync(directory), []);
  await newContainer(directory, 8 * 1024 * 1024);
});

t.test('a size that no file can have is no space', async (t) => {
  const directory = tempDirectory(t);
  await t.rejects(newContainer(directory, 2 ** 53 - 4096), { code: 'NO_SPACE' });
  t.same(readdirSync(directory), []);
});
