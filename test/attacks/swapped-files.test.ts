/**
 * Who can write files, but has no key, swaps containers and edits records: a disk reads as it should,
 * or is refused, and never shows what belongs elsewhere. What XTS cannot see is shown, too.
 */
import Database from 'better-sqlite3';
import { copyFileSync, cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { dataOffsetBytes } from '../../dist/disk/layer-match.js';
import type { Operation } from '../powercut/history.js';
import { Performer } from '../powercut/perform.js';
import { openServices, type Services } from '../powercut/services.js';
import { sectorBytes, sectorPattern } from '../powercut/sectors.js';
import { damage } from '../support/luks-header.js';
import { tempDirectory } from '../support/temp.js';
import { readStack } from './small-volume.js';

const operations: readonly Operation[] = [
  { do: 'create-key', alias: 'app' },
  { do: 'create-volume', name: 'a', sectors: 4, key: 'app' },
  { do: 'attach', volume: 'a' },
  { do: 'write', volume: 'a', sector: 0, sectors: 4, version: 1 },
  { do: 'create-snapshot', snapshot: 'a@monday' },
  { do: 'write', volume: 'a', sector: 1, sectors: 1, version: 2 },
  { do: 'create-volume', name: 'b', sectors: 4, key: 'app' },
  { do: 'attach', volume: 'b' },
  { do: 'write', volume: 'b', sector: 0, sectors: 4, version: 3 },
  { do: 'detach', volume: 'a' },
  { do: 'detach', volume: 'b' },
];

const made = join(tempDirectory(t), 'state');
const performer = await Performer.open(made, { threadless: false });
for (const operation of operations) await performer.perform(operation);
await performer.close();

interface Attack {
  readonly stateDir: string;
  /** Container paths and layer ids: a's top, what is below it, b's. */
  readonly layers: { readonly top: string; readonly below: string; readonly other: string };
  readonly path: (layerId: string) => string;
}

async function prepared(t: Test): Promise<Attack> {
  const stateDir = join(tempDirectory(t), 'state');
  cpSync(made, stateDir, { recursive: true });
  const services = await openServices(stateDir, { threadless: true });
  const topOf = (name: string): string =>
    services.records.disks().find((disk) => disk.name === name)?.topLayerId ?? '';
  const layers = { top: topOf('a'), below: topOf('monday'), other: topOf('b') };
  await services.stop();
  return { stateDir, layers, path: (id) => join(stateDir, 'layers', `${id}.luks`) };
}

/** Reads volume a; a refusal must be one, and leave the containers as they are. */
async function assertRefused(t: Test, { stateDir, layers, path }: Attack): Promise<void> {
  const before = Object.values(layers).map((id) => readFileSync(path(id)));
  await t.rejects(
    withServices(stateDir, (services) => readA(services)),
    {
      code: /HEADER_INVALID|INTEGRITY_FAILED|STATE_DIR_UNUSABLE/,
    },
  );
  const after = Object.values(layers).map((id) => readFileSync(path(id)));
  t.ok(
    after.every((bytes, index) => bytes.equals(before[index] ?? bytes)),
    'files are as they were',
  );
}

function readA(services: Services): Promise<Buffer> {
  const disk = services.records.disks().find(({ name }) => name === 'a');
  return readStack(services, disk?.topLayerId ?? '');
}

async function withServices<Result>(
  stateDir: string,
  work: (services: Services) => Promise<Result>,
): Promise<Result> {
  const services = await openServices(stateDir, { threadless: false });
  try {
    return await work(services);
  } finally {
    await services.stop();
  }
}

t.test('one container in the place of another', async (t) => {
  for (const [from, to] of [
    ['other', 'top'],
    ['other', 'below'],
    ['top', 'below'],
    ['below', 'top'],
  ] as const) {
    const attack = await prepared(t);
    copyFileSync(attack.path(attack.layers[from]), attack.path(attack.layers[to]));
    await assertRefused(t, attack);
  }
});

t.test("the header of one container over another's data", async (t) => {
  for (const to of ['top', 'below'] as const) {
    const attack = await prepared(t);
    const header = readFileSync(attack.path(attack.layers.other)).subarray(0, dataOffsetBytes);
    damage(attack.path(attack.layers[to]), 0, header);
    await assertRefused(t, attack);
  }
});

t.test('forged records', async (t) => {
  const forgeries = [
    'UPDATE layers SET parent_id = $other WHERE id = $top',
    'UPDATE layers SET parent_id = NULL WHERE id = $top',
    'UPDATE layers SET size_bytes = 8192 WHERE id = $top',
    'UPDATE layers SET generation = 2 WHERE id = $below',
  ];
  for (const forgery of forgeries) {
    const attack = await prepared(t);
    const database = new Database(join(attack.stateDir, 'disks.db'));
    const sql = forgery.replaceAll(/\$(\w+)/g, (_, name: string) => {
      const id = Object.entries(attack.layers).find(([key]) => key === name)?.[1];
      return `'${id ?? ''}'`;
    });
    database.exec(sql);
    database.close();
    await assertRefused(t, attack);
  }
});

t.test('what XTS cannot see: moved sectors are noise', async (t) => {
  const attack = await prepared(t);
  const path = attack.path(attack.layers.below);
  const at = (sector: number): number => dataOffsetBytes + sector * sectorBytes;
  const bytes = readFileSync(path);
  const foreign = readFileSync(attack.path(attack.layers.other));
  damage(path, at(2), bytes.subarray(at(0), at(1)));
  damage(path, at(3), foreign.subarray(at(3), at(4)));
  const found = await withServices(attack.stateDir, (services) => readA(services));
  const sectorOf = (sector: number): Buffer =>
    found.subarray(sector * sectorBytes, (sector + 1) * sectorBytes);
  t.ok(sectorOf(0).equals(sectorPattern(0, 1)), 'what was not touched is right');
  for (const sector of [2, 3]) {
    for (const version of [1, 2, 3]) {
      for (const from of [0, 2, 3]) {
        t.notOk(sectorOf(sector).equals(sectorPattern(from, version)), 'noise, nobody’s data');
      }
    }
  }
});

t.test('what XTS cannot see, either: an older copy of the same container', async (t) => {
  const { stateDir, layers, path } = await prepared(t);
  const old = readFileSync(path(layers.other));
  const later = await Performer.open(stateDir, { threadless: false });
  const volume = 'b';
  await later.perform({ do: 'attach', volume });
  await later.perform({ do: 'write', volume, sector: 0, sectors: 4, version: 4 });
  await later.perform({ do: 'detach', volume });
  await later.close();
  const sectorOfB = async (): Promise<Buffer> => {
    const bytes = await withServices(stateDir, (services) => readStack(services, layers.other));
    return bytes.subarray(0, sectorBytes);
  };
  t.ok((await sectorOfB()).equals(sectorPattern(0, 4)), 'what was written last');
  writeFileSync(path(layers.other), old);
  t.ok((await sectorOfB()).equals(sectorPattern(0, 3)), 'what the copy holds');
});
