/**
 * `npm run quickstart`: an encrypted volume is made, filled with real files, turned into an image,
 * cloned, locked by disabling its key and opened again by enabling it. Types what a user would
 * type, in a temporary state directory, and leaves nothing behind, also after Ctrl-C.
 */
import { accessSync, constants, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describeLeftovers, findLeftovers, removeLeftovers } from './leftovers.js';
import { chooseFiles } from './quickstart-files.js';
import { StepFailed, Steps } from './quickstart-steps.js';

const contentBytes = 300 * 2 ** 20;
const contentDirectories = ['/usr/share', '/usr/lib', '/usr/bin'];

const directory = mkdtempSync(join(tmpdir(), 'keyvol-quickstart-'));
const directories = {
  KEYVOL_STATE_DIR: join(directory, 'state'),
  KEYVOL_RUNTIME_DIR: join(directory, 'run'),
};
const steps = new Steps({ ...directories, KEYVOL_MARK: directory });
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => steps.stop());
process.exitCode = await main();

async function main(): Promise<number> {
  const obstacle = whatPreventsMounting();
  console.log(`keyvol quickstart, in ${directory}; every command sees\n`);
  for (const [name, value] of Object.entries(directories))
    console.log(`   export ${name}=${value}`);
  if (obstacle !== undefined) {
    console.log(`\nNot shown here: filesystems on mounted volumes, since ${obstacle}.`);
    console.log('Shown: keys, volumes, images and clones, and how a key state refuses them.');
  }
  let status = 0;
  try {
    await (obstacle === undefined ? wholeStory() : storyWithoutMounts());
  } catch (error) {
    if (!(error instanceof StepFailed)) throw error;
    console.error(`\nquickstart: ${error.message}`);
    status = steps.stopped ? 130 : 1;
  } finally {
    if (!(await cleanUp())) status = 1;
  }
  steps.printSummary();
  console.log(status === 0 ? '\nAll went well, and nothing was left behind.' : '');
  return status;
}

function whatPreventsMounting(): string | undefined {
  if (process.getuid?.() !== 0) return 'only root may mount them';
  try {
    accessSync('/dev/fuse', constants.R_OK | constants.W_OK);
    return undefined;
  } catch {
    return 'there is no usable /dev/fuse';
  }
}

async function wholeStory(): Promise<void> {
  const data = makeDirectory('data');
  const copy = makeDirectory('copy');
  await startWithKey();
  await steps.keyvol('Make an encrypted volume', [
    'volume',
    'create',
    'data',
    '--size',
    '2G',
    '--key',
    'app-db',
  ]);
  await steps.keyvol('Put ext4 on it and mount it', [
    'volume',
    'mount',
    'data',
    data,
    '--mkfs',
    'ext4',
  ]);
  await fill(data);
  const original = await checksum('Checksum every file', data);
  await steps.keyvol('Make an image of the volume in use', [
    'image',
    'create',
    'base',
    '--volume',
    'data',
  ]);
  await steps.keyvol('Make a volume from the image', [
    'volume',
    'create',
    'copy',
    '--image',
    'base',
  ]);
  await steps.keyvol('Mount it', ['volume', 'mount', 'copy', copy]);
  mustEqual(original, await checksum('Checksum the copy', copy));
  await steps.keyvol('What there is', ['volume', 'list']);
  await steps.keyvol('Disable the key', ['key', 'disable', 'app-db']);
  await showLocked(data);
  await steps.keyvol('Enable the key', ['key', 'enable', 'app-db']);
  mustEqual(original, await checksum('Checksum every file again', data));
  mustEqual(original, await checksum('And the copy', copy));
  for (const volume of ['copy', 'data']) {
    await steps.keyvol(`Unmount ${volume}`, ['volume', 'unmount', volume]);
  }
  await deleteAll();
}

async function storyWithoutMounts(): Promise<void> {
  const raw = join(directory, 'disk.raw');
  await startWithKey();
  await steps.program('Make a raw disk', [
    'dd',
    'if=/dev/urandom',
    `of=${raw}`,
    'bs=1M',
    'count=64',
    'status=none',
  ]);
  await steps.keyvol('Encrypt it into a volume', [
    'volume',
    'create',
    'data',
    '--file',
    raw,
    '--key',
    'app-db',
  ]);
  await steps.keyvol('Make an image of the volume', [
    'image',
    'create',
    'base',
    '--volume',
    'data',
  ]);
  await steps.keyvol('Make a volume from the image', [
    'volume',
    'create',
    'copy',
    '--image',
    'base',
  ]);
  await steps.keyvol('What there is', ['volume', 'list']);
  await steps.keyvol('Disable the key', ['key', 'disable', 'app-db']);
  await refusedClone();
  await steps.keyvol('Enable the key', ['key', 'enable', 'app-db']);
  await deleteAll();
}

async function startWithKey(): Promise<void> {
  await steps.keyvol('Start the daemon', ['daemon', 'start']);
  await steps.keyvol('Make a master key', ['key', 'create', 'app-db']);
}

async function fill(target: string): Promise<void> {
  const { files, sizeBytes } = chooseFiles(contentDirectories, contentBytes);
  const list = join(directory, 'files');
  writeFileSync(list, files.join('\0'));
  const sizeMiB = Math.round(sizeBytes / 2 ** 20);
  await steps.program(`Copy ${files.length} files (${sizeMiB} MiB) of this machine to it`, [
    'bash',
    '-c',
    `tar -cf - --absolute-names --null --files-from=${list} | tar -xf - -C ${target} --strip-components=1`,
  ]);
  await steps.program('Write it all to disk', ['sync', '--file-system', target]);
}

/** One sum over the names and contents of all files below `target`. */
async function checksum(title: string, target: string): Promise<string> {
  const script = `cd ${target} && find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum`;
  return steps.program(title, ['bash', '-o', 'pipefail', '-c', script], { shown: script });
}

function mustEqual(expected: string, actual: string): void {
  if (actual !== expected) throw new StepFailed(`the files differ: ${expected} and ${actual}`);
  console.log('   equal to the original');
}

async function showLocked(target: string): Promise<void> {
  await steps.program('The filesystem stays mounted', ['mountpoint', target]);
  await steps.program('But nothing in it can be read', ['ls', target], { status: 2 });
  const disk = join(directories.KEYVOL_RUNTIME_DIR, 'disks/volumes/data');
  await steps.program(
    'Its disk cannot be read',
    ['dd', `if=${disk}`, 'of=/dev/null', 'bs=4096', 'count=1'],
    { status: 1 },
  );
  await refusedClone();
}

/** Refused by a key's state is exit status 4. */
async function refusedClone(): Promise<void> {
  await steps.keyvol('Nor can it be cloned', ['volume', 'clone', 'data', 'second'], { status: 4 });
}

async function deleteAll(): Promise<void> {
  for (const volume of ['copy', 'data']) {
    await steps.keyvol(`Delete ${volume}`, ['volume', 'delete', volume, '--yes']);
  }
  await steps.keyvol('Delete the image', ['image', 'delete', 'base', '--yes']);
  await steps.keyvol('Delete the key, in a week', [
    'key',
    'schedule-deletion',
    'app-db',
    '--days',
    '7',
  ]);
  await steps.keyvol('What was done', ['audit', 'list', '--limit', '8']);
  await steps.keyvol('Stop the daemon', ['daemon', 'stop']);
}

function makeDirectory(name: string): string {
  const path = join(directory, name);
  mkdirSync(path);
  return path;
}

/** Answers whether only files were left, which are removed with the directory. */
async function cleanUp(): Promise<boolean> {
  const place = { mark: directory, directory };
  await steps.quietly(['daemon', 'stop']);
  let left = withoutFiles(place);
  for (let tries = 0; tries < 50 && describeLeftovers(left).length > 0; tries++) {
    await sleep(100);
    left = withoutFiles(place);
  }
  removeLeftovers(place, left);
  for (const line of describeLeftovers(left)) console.error(`quickstart: left behind: ${line}`);
  return describeLeftovers(left).length === 0;
}

function withoutFiles(place: { mark: string; directory: string }) {
  return { ...findLeftovers(place), files: [] };
}
