/** What is done before and while the power goes: long random workloads, and short ones. */
import { modelRandom, type ModelRandom } from '../support/model-random.js';
import type { Operation } from './history.js';

const sectors = 16;

/** What short workloads start from: a bit of everything, flushed and stopped in good order. */
export const beginning: readonly Operation[] = [
  { do: 'create-key', alias: 'app' },
  { do: 'create-volume', name: 'db', sectors, key: 'app' },
  { do: 'attach', volume: 'db' },
  { do: 'write', volume: 'db', sector: 0, sectors: 6, version: 1 },
  { do: 'create-snapshot', snapshot: 'db@monday' },
  { do: 'write', volume: 'db', sector: 4, sectors: 4, version: 2 },
  { do: 'create-volume', name: 'spare', sectors: 4 },
  { do: 'stop' },
];

/** From an empty directory: short, and with a bit of everything. */
export const eventful: readonly Operation[] = [
  { do: 'create-key', alias: 'app' },
  { do: 'create-volume', name: 'db', sectors: 16, key: 'app' },
  { do: 'attach', volume: 'db' },
  { do: 'write', volume: 'db', sector: 0, sectors: 4, version: 1 },
  { do: 'flush', volume: 'db' },
  { do: 'create-snapshot', snapshot: 'db@monday' },
  { do: 'write', volume: 'db', sector: 2, sectors: 4, version: 2 },
  { do: 'flush', volume: 'db' },
  { do: 'clone', volume: 'db', name: 'copy' },
  { do: 'disable-key', alias: 'app' },
];

/** The next version of a write, never given twice. */
type Versions = () => number;

/** One step of a short workload over `beginning`; some of them are refused after some others. */
const steps: readonly ((version: Versions, name: string) => readonly Operation[])[] = [
  (version) => [{ do: 'write', volume: 'db', sector: 3, sectors: 2, version: version() }],
  (version) => [
    { do: 'write', volume: 'db', sector: 5, sectors: 6, version: version() },
    { do: 'flush', volume: 'db' },
  ],
  () => [
    { do: 'discard', volume: 'db', sector: 2, sectors: 3 },
    { do: 'flush', volume: 'db' },
  ],
  () => [{ do: 'discard', volume: 'db', sector: 5, sectors: 3 }],
  (_, name) => [{ do: 'create-snapshot', snapshot: `db@${name}` }],
  (_, name) => [{ do: 'clone', volume: 'db', name }],
  (_, name) => [{ do: 'create-image', name, volume: 'db' }],
  (_, name) => [{ do: 'create-image', name, snapshot: 'db@monday' }],
  (_, name) => [{ do: 'create-volume', name, sectors: 2, key: 'app', preallocate: true }],
  (_, name) => [{ do: 'create-volume', name, sectors, snapshot: 'db@monday' }],
  (_, name) => [{ do: 'create-key', alias: name }],
  () => [{ do: 'disable-key', alias: 'app' }],
  () => [{ do: 'enable-key', alias: 'app' }],
  () => [{ do: 'detach', volume: 'db' }],
  () => [{ do: 'attach', volume: 'db' }],
  () => [{ do: 'resize', volume: 'db', sectors: sectors + 4 }],
  () => [{ do: 'resize', volume: 'spare', sectors: 2, shrink: true }],
  () => [{ do: 'rollback', snapshot: 'db@monday' }],
  () => [{ do: 'delete', kind: 'snapshot', name: 'db@monday' }],
  () => [{ do: 'delete', kind: 'volume', name: 'spare' }],
  () => [{ do: 'rename', kind: 'volume', name: 'spare', to: 'other' }],
  () => [{ do: 'stop' }],
];

/** How many workloads of exactly `length` steps there are. */
export function shortWorkloads(length: number): number {
  return steps.length ** length;
}

/** The workload of `length` steps with this number, from 0. */
export function shortWorkload(length: number, number: number): Operation[] {
  let version = 2;
  const next = (): number => (version += 1);
  let rest = number;
  return Array.from({ length }, (_, at) => {
    const step = steps[rest % steps.length];
    rest = Math.floor(rest / steps.length);
    return step?.(next, `new${at}`) ?? [];
  }).flat();
}

/** From an empty directory: the first start is part of it. */
export function longWorkload(seed: number, length: number): Operation[] {
  const random = modelRandom(seed);
  const names = new Names();
  const begin: Operation[] = [
    { do: 'create-key', alias: 'app' },
    { do: 'create-volume', name: names.add('volume'), sectors, key: 'app' },
    { do: 'attach', volume: 'volume1' },
  ];
  const rest = Array.from({ length }, () => nextOperations(random, names));
  return [...begin, ...rest.flat()];
}

/** The names a random workload has given; what they name may be gone. */
class Names {
  readonly #counts = new Map<string, number>();
  version = 0;

  add(kind: string): string {
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    return `${kind}${count}`;
  }

  any(random: ModelRandom, kind: string): string {
    return `${kind}${1 + random.below(this.#counts.get(kind) ?? 1)}`;
  }
}

type Maker = (random: ModelRandom, names: Names) => Operation;

const makers: readonly (readonly [string, number, Maker])[] = [
  ['write', 20, write],
  ['flush', 10, (random, names) => ({ do: 'flush', volume: names.any(random, 'volume') })],
  ['discard', 4, discard],
  ['snapshot', 4, snapshot],
  ['attach', 6, (random, names) => ({ do: 'attach', volume: names.any(random, 'volume') })],
  ['detach', 3, (random, names) => ({ do: 'detach', volume: names.any(random, 'volume') })],
  ['rollback', 3, (random, names) => ({ do: 'rollback', snapshot: anySnapshot(random, names) })],
  ['grow', 3, (random, names) => resize(random, names, false)],
  ['shrink', 2, (random, names) => resize(random, names, true)],
  [
    'clone',
    3,
    (random, names) => ({
      do: 'clone',
      volume: names.any(random, 'volume'),
      name: names.add('volume'),
    }),
  ],
  [
    'image',
    2,
    (random, names) => ({
      do: 'create-image',
      volume: names.any(random, 'volume'),
      name: names.add('image'),
    }),
  ],
  ['from an image', 2, fromImage],
  ['create', 2, (_, names) => ({ do: 'create-volume', sectors: 5, name: names.add('volume') })],
  ['delete a volume', 2, (random, names) => deletion(random, names, 'volume')],
  ['delete an image', 2, (random, names) => deletion(random, names, 'image')],
  ['delete a snapshot', 3, deleteSnapshot],
  ['disable', 2, () => ({ do: 'disable-key', alias: 'app' })],
  ['enable', 4, () => ({ do: 'enable-key', alias: 'app' })],
  ['stop', 2, () => ({ do: 'stop' })],
];

function nextOperations(random: ModelRandom, names: Names): Operation[] {
  const [, , make] = random.weighted(makers);
  return [make(random, names)];
}

function write(random: ModelRandom, names: Names): Operation {
  const sector = random.below(sectors);
  const count = 1 + random.below(Math.min(6, sectors - sector));
  names.version += 1;
  const { version } = names;
  return { do: 'write', volume: names.any(random, 'volume'), sector, sectors: count, version };
}

function discard(random: ModelRandom, names: Names): Operation {
  const sector = random.below(sectors);
  const count = 1 + random.below(sectors - sector);
  return { do: 'discard', volume: names.any(random, 'volume'), sector, sectors: count };
}

function resize(random: ModelRandom, names: Names, shrink: boolean): Operation {
  const volume = names.any(random, 'volume');
  return { do: 'resize', volume, sectors: 1 + random.below(2 * sectors), shrink };
}

function snapshot(random: ModelRandom, names: Names): Operation {
  return {
    do: 'create-snapshot',
    snapshot: `${names.any(random, 'volume')}@${names.add('snapshot')}`,
  };
}

function anySnapshot(random: ModelRandom, names: Names): string {
  return `${names.any(random, 'volume')}@${names.any(random, 'snapshot')}`;
}

function deleteSnapshot(random: ModelRandom, names: Names): Operation {
  return { do: 'delete', kind: 'snapshot', name: anySnapshot(random, names) };
}

function deletion(random: ModelRandom, names: Names, kind: 'volume' | 'image'): Operation {
  return { do: 'delete', kind, name: names.any(random, kind) };
}

function fromImage(random: ModelRandom, names: Names): Operation {
  const image = names.any(random, 'image');
  return { do: 'create-volume', name: names.add('volume'), sectors, image };
}
