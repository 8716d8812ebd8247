// Never trust or format what is not recognised: whatever is not exactly a header of ours is refused
// before any I/O, and the file stays as it is.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { addon } from '../../dist/device/index.js';
import {
  cryptsetup,
  dataOffsetBytes,
  hasCryptsetup,
  newContainer,
  sha256Of,
  type TestContainer,
} from '../support/containers.js';
import {
  damage,
  editCopies,
  editMetadata,
  headerCopyBytes,
  type JsonObject,
  type Metadata,
} from '../support/luks-header.js';
import { tempDirectory } from '../support/temp.js';

const sizeBytes = 64 * 4096;
const foreign = { skip: !hasCryptsetup && 'cryptsetup is not installed' };

/** Edits of the metadata, each with what the refusal says. */
const metadataEdits: Record<string, [RegExp, (metadata: Metadata) => void]> = {
  'the null cipher': [/the cipher cipher_null-ecb, not/, edit({ encryption: 'cipher_null-ecb' })],
  'another cipher': [/the cipher aes-cbc-essiv/, edit({ encryption: 'aes-cbc-essiv:sha256' })],
  'another way to count': [/the cipher aes-xts-plain,/, edit({ encryption: 'aes-xts-plain' })],
  'another data offset': [/another offset/, edit({ offset: '2097152' })],
  'a fixed segment size': [/another size/, edit({ size: '131072' })],
  'a tweak that starts elsewhere': [/another iv_tweak/, edit({ iv_tweak: '8' })],
  'another sector size': [/another sector_size/, edit({ sector_size: 512 })],
  'another segment type': [/has the cipher|another type/, edit({ type: 'linear' })],
  'segment flags': [/more than keyvol writes/, edit({ flags: ['something-new'] })],
  'an authenticated segment': [
    /more than keyvol writes/,
    edit({ integrity: { type: 'none', journal_encryption: 'none', journal_integrity: 'none' } }),
  ],
  'a second segment': [/exactly one segment/, addSecondSegment],
  requirements: [
    /requirements/,
    ({ config }) => (config['requirements'] = { mandatory: ['something-new'] }),
  ],
  'configuration flags': [/configuration/, ({ config }) => (config['flags'] = ['allow-discards'])],
  'no token': [/exactly one token/, (metadata) => (metadata.tokens = {})],
  'two tokens': [
    /exactly one token/,
    (metadata) => (metadata.tokens['1'] = { ...metadata.tokens['0'] }),
  ],
  'a foreign token': [/no keyvol token/, editToken({ type: 'other' })],
  'a token without a context': [/without a size/, editToken({ context: {} })],
  'the token of another layer': [
    /token of another layer/,
    editContext({ layer: '11111111-2222-3333-4444-555555555555' }),
  ],
  'a size beyond the file': [/truncated/, editContext({ size_bytes: String(sizeBytes + 4096) })],
  'a size beyond 64 bits': [/without a size/, editContext({ size_bytes: '18446744073709555712' })],
  'a size of part of a sector': [/multiple of 4096/, editContext({ size_bytes: '4095' })],
  'a size of nothing': [/multiple of 4096/, editContext({ size_bytes: '0' })],
  'a negative size': [/multiple of 4096/, editContext({ size_bytes: '-4096' })],
  'a size as a number': [/multiple of 4096/, editContext({ size_bytes: 4096 })],
  'a digest that takes for ever': [
    /too many iterations/,
    ({ digests }) => Object.assign(digests['0'] ?? {}, { iterations: 1000001 }),
  ],
  // For each of these libcryptsetup 2.6 takes any key for the right one.
  'an empty digest': [/another key digest/, editDigest({ digest: '' })],
  'a digest cut short': [/another key digest/, editDigest({ digest: 'A'.repeat(40) })],
  'a digest that is no base64': [
    /another key digest/,
    editDigest({ digest: `${'A'.repeat(43)}*` }),
  ],
  'a digest with bits beyond its end': [
    /another key digest/,
    editDigest({ digest: `${'A'.repeat(42)}B=` }),
  ],
  'a digest that is no text': [/another key digest/, editDigest({ digest: ['A'] })],
  'an empty salt': [/another key digest/, editDigest({ salt: '' })],
  'a salt that is no text': [/another key digest/, editDigest({ salt: ['A'] })],
  'another hash': [/another key digest/, editDigest({ hash: 'sha512' })],
  'a hash that nobody knows': [/another key digest/, editDigest({ hash: 'nohash' })],
  'a digest of keyslots': [/invalid LUKS2 header/, editDigest({ keyslots: ['0'] })],
  'a digest with more than keyvol writes': [/another key digest/, editDigest({ more: 1 })],
};

t.test('edited metadata with right checksums', async (t) => {
  const directory = tempDirectory(t);
  const container = await newContainer(directory, sizeBytes);
  for (const [name, [reason, change]] of Object.entries(metadataEdits)) {
    const path = join(directory, 'edited.luks');
    copyFileSync(container.path, path);
    editMetadata(path, change);
    await refuses(t, path, name, reason);
  }
  const unedited = join(directory, 'unedited.luks');
  copyFileSync(container.path, unedited);
  editMetadata(unedited, () => undefined);
  t.equal(
    (await addon.readContainerHeader(unedited)).damagedCopies,
    0,
    'the editor itself is fine',
  );
});

t.test('edited binary headers', async (t) => {
  const directory = tempDirectory(t);
  const container = await newContainer(directory, sizeBytes);
  const edits: Record<string, (path: string) => void> = {
    'a wrong magic in both copies': (path) => editCopies(path, (copy) => copy.fill(0x58, 0, 6)),
    'version 1': (path) => editCopies(path, (copy) => copy.writeUInt16BE(1, 6)),
    'version 3': (path) => editCopies(path, (copy) => copy.writeUInt16BE(3, 6)),
    'another header size': (path) => editCopies(path, (copy) => copy.writeBigUInt64BE(32768n, 8)),
    'another checksum': (path) => editCopies(path, (copy) => copy.write('sha1\0\0', 72)),
    'another uuid': (path) =>
      editCopies(path, (copy) => copy.write('11111111-2222-3333-4444-555555555555', 168)),
    'no JSON': (path) => editCopies(path, (copy) => copy.fill(0x20, 4096)),
    'both copies damaged': (path) => {
      damage(path, 5000, Buffer.from('x'));
      damage(path, headerCopyBytes + 5000, Buffer.from('x'));
    },
    zeros: (path) => damage(path, 0, Buffer.alloc(2 * headerCopyBytes)),
  };
  for (const [name, change] of Object.entries(edits)) {
    const path = join(directory, 'edited.luks');
    copyFileSync(container.path, path);
    change(path);
    await refuses(t, path, name);
  }
});

t.test('truncated files', async (t) => {
  const directory = tempDirectory(t);
  const container = await newContainer(directory, sizeBytes);
  const whole = dataOffsetBytes + sizeBytes;
  const lengths = [0, 1, 511, 4096, headerCopyBytes, 2 * headerCopyBytes, dataOffsetBytes - 1];
  for (const lengthBytes of [...lengths, dataOffsetBytes, whole - 4096, whole - 1]) {
    const path = join(directory, 'short.luks');
    copyFileSync(container.path, path);
    truncateSync(path, lengthBytes);
    await refuses(t, path, `${lengthBytes} bytes`);
  }
  truncateSync(container.path, whole + 1);
  t.equal((await addon.readContainerHeader(container.path)).fileBytes, whole + 1);
});

t.test('what is no regular file, and what is missing', async (t) => {
  const directory = tempDirectory(t);
  const container = await newContainer(directory, sizeBytes);
  const [link, folder, pipe] = ['link', 'folder', 'pipe'].map((name) => join(directory, name));
  if (link === undefined || folder === undefined || pipe === undefined)
    throw new Error('unreachable');
  symlinkSync(container.path, link);
  mkdirSync(folder);
  execFileSync('mkfifo', [pipe]);
  for (const path of [link, folder, pipe, '/dev/null']) {
    await t.rejects(addon.readContainerHeader(path), { code: 'HEADER_INVALID' }, path);
  }
  await t.rejects(addon.readContainerHeader(join(directory, 'none')), { code: 'FILE_NOT_FOUND' });
});

t.test('files of other kinds', async (t) => {
  const directory = tempDirectory(t);
  const kinds = { empty: Buffer.alloc(0), noise: Buffer.alloc(2 ** 21, 0xa7), text: 'LUKS\n' };
  for (const [name, content] of Object.entries(kinds)) {
    const path = join(directory, name);
    writeFileSync(path, content);
    await refuses(t, path, name, /not a LUKS2 container/);
  }
});

t.test('containers that cryptsetup made', foreign, async (t) => {
  const directory = tempDirectory(t);
  const kinds: Record<string, [RegExp, string[]]> = {
    luks1: [/LUKS1/, ['--type', 'luks1', '--pbkdf-force-iterations', '1000']],
    luks2: [/another layout|keyslots|segment/, ['--type', 'luks2', ...quick]],
    'luks2 of our layout': [/keyslots|segment|token/, ['--type', 'luks2', ...quick, ...ourLayout]],
  };
  for (const [name, [reason, options]] of Object.entries(kinds)) {
    const path = join(directory, name);
    writeFileSync(path, Buffer.alloc(0));
    truncateSync(path, 32 * 1024 * 1024);
    cryptsetup(
      ['luksFormat', '--batch-mode', ...options, '--key-size', '512', path, '-'],
      'passphrase',
    );
    await refuses(t, path, name, reason);
  }
});

t.test('a container that someone added a keyslot to', foreign, async (t) => {
  const directory = tempDirectory(t);
  const container = await newContainer(directory, sizeBytes);
  addKeyslot(container, directory);
  await refuses(t, container.path, 'a keyslot', /keyslots/);
});

const quick = ['--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', '1000'];
const ourLayout = [
  ...['--luks2-metadata-size', '16k', '--luks2-keyslots-size', '512k'],
  ...['--offset', '2048', '--sector-size', '4096'],
];

/** Reading and verifying both refuse, and the file keeps its bytes. */
async function refuses(t: Test, path: string, name: string, reason = /./): Promise<void> {
  const before = sha256Of(path);
  const fault = { code: 'HEADER_INVALID', message: reason };
  await t.rejects(addon.readContainerHeader(path), fault, name);
  await t.rejects(addon.verifyContainerKey(path, addon.generateDataKey()), fault, name);
  t.equal(sha256Of(path), before, `${name}: unchanged`);
}

function addKeyslot(container: TestContainer, directory: string): void {
  const keyFile = join(directory, 'data.key');
  addon.exportKeyFile(container.dataKey, keyFile);
  const options = ['--batch-mode', '--volume-key-file', keyFile, '--key-size', '512', ...quick];
  cryptsetup(['luksAddKey', ...options, container.path, '-'], 'passphrase');
}

function edit(change: JsonObject): (metadata: Metadata) => void {
  return ({ segments }) => Object.assign(segments['0'] ?? {}, change);
}

function editToken(change: JsonObject): (metadata: Metadata) => void {
  return ({ tokens }) => Object.assign(tokens['0'] ?? {}, change);
}

function editDigest(change: JsonObject): (metadata: Metadata) => void {
  return ({ digests }) => Object.assign(digests['0'] ?? {}, change);
}

function editContext(change: JsonObject): (metadata: Metadata) => void {
  return ({ tokens }) => {
    const token = tokens['0'];
    if (token === undefined) throw new Error('the container has no token');
    Object.assign(token['context'] ?? {}, change);
  };
}

/** Two segments that follow each other and share the digest, as LUKS2 allows. */
function addSecondSegment({ segments, digests }: Metadata): void {
  const [first, digest] = [segments['0'], digests['0']];
  if (first === undefined || digest === undefined) throw new Error('the container has none');
  segments['1'] = { ...first, offset: String(dataOffsetBytes + 4096) };
  first['size'] = '4096';
  digest['segments'] = ['0', '1'];
}
