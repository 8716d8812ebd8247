/** Makes runs of operations from a seed. */
import { modelRandom, type ModelRandom } from '../model-random.js';
import { sectorBytes, type SimpleOperation, type TreeOperation } from './operations.js';

export interface RunShape {
  readonly seed: number;
  readonly operations: number;
  /** Layers of the deepest chain that is made first; others are as deep or half. 0 for none. */
  readonly startDepth: number;
  /** Of 1000 operations: how many are verbs, key changes and faults. The others are I/O. */
  readonly verbs: number;
  readonly keys: number;
  readonly faults: number;
  /** Kills and restarts of 100,000 operations. */
  readonly kills: number;
}

export const volumeSlots = 7;
export const keySlots = 3;
const snapshotSlots = 6;
const imageSlots = 5;
/** About the 64 sectors of a group of the sector map, and over several. */
const sizes = [1, 16, 63, 64, 65, 130, 200] as const;
const largestBytes = 200 * sectorBytes;
/** The number of different plaintexts of one sector: few, so that layers share them. */
const fills = 12;

export function makeRun(shape: RunShape): TreeOperation[] {
  const random = modelRandom(shape.seed);
  const run: TreeOperation[] = shape.startDepth > 0 ? deepChains(shape.startDepth, random) : [];
  while (run.length < shape.operations) run.push(anyOperation(shape, random));
  return run;
}

/** Deep volumes, the second one a clone of the first. */
function deepChains(depth: number, random: ModelRandom): TreeOperation[] {
  const chain = (disk: string, layers: number): TreeOperation[] =>
    Array.from({ length: layers }, (_, i): TreeOperation[] => {
      const snapshot = `${disk}@s${i % snapshotSlots}`;
      const write = { ...someRange(random), do: 'write', disk, fill: random.below(fills) } as const;
      const drop: TreeOperation[] = i < snapshotSlots ? [] : [{ do: 'delete', disk: snapshot }];
      return [write, ...drop, { do: 'snapshot', disk: snapshot }];
    }).flat();
  return [
    { do: 'create', disk: 'v0', sectors: 130, key: 0, untilDetach: false },
    { do: 'attach', disk: 'v0', readOnly: false },
    ...chain('v0', depth),
    { do: 'clone', disk: 'v1', source: 'v0' },
    { do: 'attach', disk: 'v1', readOnly: false },
    ...chain('v1', depth / 2),
    { do: 'create', disk: 'v2', sectors: 65, key: 1, untilDetach: true },
    { do: 'attach', disk: 'v2', readOnly: false },
    ...chain('v2', depth),
    { do: 'create', disk: 'v3', sectors: 16, key: 2, untilDetach: false },
    { do: 'attach', disk: 'v3', readOnly: false },
    ...chain('v3', depth / 2),
  ];
}

function anyOperation(shape: RunShape, random: ModelRandom): TreeOperation {
  if (random.below(100_000) < shape.kills) return someRestart(random);
  const dice = random.below(1000);
  if (dice < shape.verbs) return random.below(12) === 0 ? someCheck(random) : someVerb(random);
  if (dice < shape.verbs + shape.keys) return someKeyChange(random);
  if (dice < shape.verbs + shape.keys + shape.faults) return someFault(random);
  return someIo(random);
}

const someVolume = (random: ModelRandom): string => `v${random.below(volumeSlots)}`;
const someImage = (random: ModelRandom): string => `i${random.below(imageSlots)}`;
const someSnapshot = (random: ModelRandom): string =>
  `${someVolume(random)}@s${random.below(snapshotSlots)}`;
/** Half as likely an image as a volume. */
const someAttachable = (random: ModelRandom): string =>
  random.below(6) === 0 ? someImage(random) : someVolume(random);

type Make = (random: ModelRandom) => SimpleOperation;

const verbs: readonly (readonly [name: string, weight: number, make: Make])[] = [
  [
    'create',
    12,
    (r) => ({
      do: 'create',
      disk: someVolume(r),
      sectors: r.pick(sizes),
      key: r.below(keySlots),
      untilDetach: r.below(3) === 0,
    }),
  ],
  [
    'import',
    2,
    (r) => ({
      do: 'import',
      disk: someImage(r),
      sectors: r.pick(sizes),
      key: r.below(keySlots),
      fill: r.below(fills),
    }),
  ],
  [
    'fresh',
    18,
    (r) => ({
      do: 'fresh',
      disk: someVolume(r),
      source: r.below(2) === 0 ? someImage(r) : someSnapshot(r),
      grow: r.pick([0, 0, 1, 64, 7, -1]),
    }),
  ],
  ['clone', 12, (r) => ({ do: 'clone', disk: someVolume(r), source: someVolume(r) })],
  ['snapshot', 24, (r) => ({ do: 'snapshot', disk: someSnapshot(r) })],
  [
    'image',
    10,
    (r) => ({
      do: 'image',
      disk: someImage(r),
      source: r.below(3) === 0 ? someSnapshot(r) : someVolume(r),
    }),
  ],
  ['rollback', 10, (r) => ({ do: 'rollback', disk: someSnapshot(r) })],
  ['resize', 8, (r) => ({ do: 'resize', disk: someVolume(r), sectors: r.pick(sizes) })],
  ['delete snapshot', 24, (r) => ({ do: 'delete', disk: someSnapshot(r) })],
  ['delete image', 8, (r) => ({ do: 'delete', disk: someImage(r) })],
  ['delete volume', 12, (r) => ({ do: 'delete', disk: someVolume(r) })],
  ['attach', 60, (r) => ({ do: 'attach', disk: someAttachable(r), readOnly: r.below(8) === 0 })],
  ['detach', 30, (r) => ({ do: 'detach', disk: someAttachable(r) })],
];

const someVerb: Make = (random) => random.weighted(verbs)[2](random);

function someCheck(random: ModelRandom): TreeOperation {
  const disk = random.below(2) === 0 ? someSnapshot(random) : someAttachable(random);
  return { do: 'check', disk };
}

function someKeyChange(random: ModelRandom): SimpleOperation {
  // What gives a key back comes more often, so that most disks can be used most of the time.
  const dice = random.below(12);
  const action = dice === 0 ? 'disable' : dice === 1 ? 'schedule' : dice < 6 ? 'cancel' : 'enable';
  return { do: 'key', key: random.below(keySlots), action };
}

function someRange(random: ModelRandom): { offset: number; length: number } {
  const { offset, length } = random.range(largestBytes);
  return { offset, length: Math.min(length, 65536) };
}

const ios: readonly (readonly [name: string, weight: number, make: Make])[] = [
  ['read', 30, (r) => ({ do: 'read', disk: someAttachable(r), ...someRange(r) })],
  [
    'write',
    40,
    (r) => ({ do: 'write', disk: someVolume(r), fill: r.below(fills), ...someRange(r) }),
  ],
  ['discard', 10, (r) => ({ do: 'discard', disk: someVolume(r), ...someRange(r) })],
  ['zero', 10, (r) => ({ do: 'zero', disk: someVolume(r), ...someRange(r) })],
  ['flush', 4, (r) => ({ do: 'flush', disk: someAttachable(r) })],
  ['seek', 6, (r) => ({ do: 'seek', disk: someAttachable(r), offset: r.below(largestBytes) })],
];

const someIo: Make = (random) => random.weighted(ios)[2](random);

const eio = 5;
const enospc = 28;

function someFault(random: ModelRandom): TreeOperation {
  const operation = random.pick(['read', 'write', 'write', 'sync', 'sync', 'punch-hole'] as const);
  const outOfSpace = operation === 'write' && random.below(3) === 0;
  const errno = outOfSpace ? enospc : eio;
  // For good only where nothing waits for it to end, as a disk does that is out of space.
  const sticky = !outOfSpace && random.below(3) === 0;
  const fault = { operation, errno, sticky, afterCalls: random.pick([0, 0, 1, 2]) };
  return { do: 'fault', fault, during: faultable(operation, random) };
}

/** An operation that meets the fault more often than not. */
function faultable(operation: string, random: ModelRandom): SimpleOperation {
  if (operation !== 'sync') return random.below(8) === 0 ? someVerb(random) : someIo(random);
  const dice = random.below(4);
  if (dice === 0) return { do: 'flush', disk: someVolume(random) };
  return dice === 1 ? someKeyChange(random) : someVerb(random);
}

function someRestart(random: ModelRandom): TreeOperation {
  if (random.below(4) === 0) return { do: 'restart' };
  const writes = Array.from({ length: 2 + random.below(8) }, () => someIo(random));
  const verb = Array.from({ length: random.below(3) }, () => someVerb(random));
  const rush = [...verb, ...writes];
  return { do: 'kill', rush, afterMs: random.pick([0, 0, 1, 2, 5, 10, 20, 40]) };
}
