/** What is tried at every fault point: one request, with what must be there before and goes after. */
import type { Operation } from '../powercut/history.js';

export interface Verb {
  readonly name: string;
  /** The nth try, with names and versions of its own. */
  readonly at: (n: number) => Try;
}

export interface Try {
  readonly before?: readonly Operation[];
  readonly ask: Operation;
  readonly after?: readonly Operation[];
}

export const attachedVolume = 'db';
const volume = attachedVolume;
const sectors = 4;

/** What all tries start from. */
export const beginning: readonly Operation[] = [
  { do: 'create-key', alias: 'app' },
  { do: 'create-volume', name: volume, sectors: 8, key: 'app' },
  { do: 'attach', volume },
  { do: 'write', volume, sector: 0, sectors: 8, version: 1 },
  { do: 'create-snapshot', snapshot: `${volume}@base` },
  { do: 'create-image', name: 'golden', snapshot: `${volume}@base` },
  { do: 'write', volume, sector: 2, sectors, version: 2 },
  { do: 'flush', volume },
];

const remove = (kind: 'volume' | 'image' | 'snapshot', name: string): Operation => ({
  do: 'delete',
  kind,
  name,
});
const write = (n: number): Operation => ({
  do: 'write',
  volume,
  sector: n % 4,
  sectors,
  version: 10 + n,
});
const flush: Operation = { do: 'flush', volume };
const attach: Operation = { do: 'attach', volume };
const detach: Operation = { do: 'detach', volume };
const smaller: Operation = { do: 'resize', volume, sectors: 8, shrink: true };

export const verbs: readonly Verb[] = [
  { name: 'create a key', at: (n) => ({ ask: { do: 'create-key', alias: `key${n}` } }) },
  {
    name: 'rename a key',
    at: (n) => ({
      ask: { do: 'rename-key', alias: 'app', to: `app${n}` },
      after: [{ do: 'rename-key', alias: `app${n}`, to: 'app' }],
    }),
  },
  {
    name: 'disable the key',
    at: (n) => ({
      before: [write(n)],
      ask: { do: 'disable-key', alias: 'app' },
      after: [{ do: 'enable-key', alias: 'app' }],
    }),
  },
  {
    name: 'enable the key',
    at: () => ({
      before: [{ do: 'disable-key', alias: 'app' }],
      ask: { do: 'enable-key', alias: 'app' },
      // Disks that could not follow do so now.
      after: [{ do: 'enable-key', alias: 'app' }],
    }),
  },
  {
    name: 'create a volume',
    at: (n) => ({
      ask: { do: 'create-volume', name: `v${n}`, sectors, key: 'app' },
      after: [remove('volume', `v${n}`)],
    }),
  },
  {
    name: 'create a volume with its space',
    at: (n) => ({
      ask: { do: 'create-volume', name: `v${n}`, sectors, key: 'app', preallocate: true },
      after: [remove('volume', `v${n}`)],
    }),
  },
  {
    name: 'create a volume from an image',
    at: (n) => ({
      ask: { do: 'create-volume', name: `v${n}`, sectors: 8, image: 'golden' },
      after: [remove('volume', `v${n}`)],
    }),
  },
  {
    name: 'create a volume from a snapshot',
    at: (n) => ({
      ask: { do: 'create-volume', name: `v${n}`, sectors: 8, snapshot: `${volume}@base` },
      after: [remove('volume', `v${n}`)],
    }),
  },
  {
    name: 'clone an attached volume',
    at: (n) => ({
      before: [write(n)],
      ask: { do: 'clone', volume, name: `v${n}` },
      after: [remove('volume', `v${n}`)],
    }),
  },
  {
    name: 'snapshot an attached volume',
    at: (n) => ({
      before: [write(n)],
      ask: { do: 'create-snapshot', snapshot: `${volume}@s${n}` },
      after: [remove('snapshot', `${volume}@s${n}`)],
    }),
  },
  {
    name: 'delete a snapshot',
    at: (n) => ({
      before: [write(n), { do: 'create-snapshot', snapshot: `${volume}@s${n}` }, detach],
      ask: remove('snapshot', `${volume}@s${n}`),
      after: [attach],
    }),
  },
  {
    name: 'make an image of an attached volume',
    at: (n) => ({
      before: [write(n)],
      ask: { do: 'create-image', name: `i${n}`, volume },
      after: [remove('image', `i${n}`)],
    }),
  },
  {
    name: 'delete an image',
    at: (n) => ({
      before: [{ do: 'create-image', name: `i${n}`, snapshot: `${volume}@base` }],
      ask: remove('image', `i${n}`),
    }),
  },
  {
    name: 'roll back',
    at: (n) => ({
      before: [write(n), detach],
      ask: { do: 'rollback', snapshot: `${volume}@base` },
      after: [attach],
    }),
  },
  {
    name: 'delete a volume',
    at: (n) => ({
      before: [{ do: 'create-volume', name: `v${n}`, sectors, key: 'app' }],
      ask: remove('volume', `v${n}`),
    }),
  },
  {
    name: 'rename a volume',
    at: (n) => ({
      ask: { do: 'rename', kind: 'volume', name: volume, to: `db${n}` },
      after: [{ do: 'rename', kind: 'volume', name: `db${n}`, to: volume }],
    }),
  },
  {
    name: 'make an attached volume larger',
    at: (n) => ({
      before: [write(n), detach, smaller, attach, write(n + 1000)],
      ask: { do: 'resize', volume, sectors: 12 },
    }),
  },
  {
    name: 'make a volume smaller',
    at: (n) => ({
      before: [{ do: 'resize', volume, sectors: 12 }, write(n), detach],
      ask: smaller,
      after: [attach],
    }),
  },
  {
    name: 'make a volume larger that holds nothing',
    at: (n) => ({
      before: [{ do: 'create-volume', name: `v${n}`, sectors, key: 'app' }],
      ask: { do: 'resize', volume: `v${n}`, sectors: 12 },
      after: [remove('volume', `v${n}`)],
    }),
  },
  { name: 'attach', at: () => ({ before: [detach], ask: attach }) },
  { name: 'detach', at: (n) => ({ before: [write(n)], ask: detach, after: [attach] }) },
  { name: 'write', at: (n) => ({ ask: write(n), after: [flush] }) },
  { name: 'flush', at: (n) => ({ before: [write(n)], ask: flush }) },
  {
    name: 'discard',
    at: (n) => ({
      before: [write(n), flush],
      ask: { do: 'discard', volume, sector: 1, sectors: 5 },
      after: [flush],
    }),
  },
];
