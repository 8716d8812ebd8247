/** Which of the pending operations last, and how much of them: the cuts that are worth a look. */
import type { ModelRandom } from '../support/model-random.js';
import type { Choice, Extent, Pending } from './storage.js';

/** Up to so many operations are tried in all subsets. */
const mostSubsets = 6;
/** Up to so many pieces a write is torn between each two of them. */
const mostPieces = 16;
const randomSubsets = 4;
const randomTears = 4;

/**
 * `pending` in order, of storage that writes `pieceBytes` whole or not at all; the ones from `fresh`
 * on were done since the last flush of anything. The older ones have had their turn, and mostly go
 * together.
 */
export function choicesOf(
  pending: readonly Pending[],
  fresh: number,
  pieceBytes: number,
  random: ModelRandom,
): Choice[] {
  const older = pending.slice(0, fresh);
  const newer = pending.slice(fresh);
  const some = older.filter(() => random.below(2) === 0);
  return [
    ...subsetsOf(newer, random).flatMap((kept) => [
      whole([...older, ...kept]),
      whole(kept),
      ...(some.length === 0 || some.length === older.length ? [] : [whole([...some, ...kept])]),
    ]),
    ...newer.flatMap((torn, at) =>
      tearsOf(torn, pieceBytes, random).map((extent) =>
        withTorn([...older, ...newer.slice(0, at)], torn, extent),
      ),
    ),
  ];
}

function subsetsOf(newer: readonly Pending[], random: ModelRandom): Pending[][] {
  if (newer.length <= mostSubsets) return allSubsets(newer);
  return [
    ...newer.map((_, at) => newer.slice(0, at)),
    [...newer],
    ...newer.map((left) => newer.filter((one) => one !== left)),
    newer.slice(-1),
    ...Array.from({ length: randomSubsets }, () => newer.filter(() => random.below(2) === 0)),
  ];
}

function allSubsets(newer: readonly Pending[]): Pending[][] {
  return newer.reduce<Pending[][]>(
    (all, one) => [...all, ...all.map((subset) => [...subset, one])],
    [[]],
  );
}

/** Storage writes its pieces whole, and those of one write in any order. */
function tearsOf(pending: Pending, pieceBytes: number, random: ModelRandom): Extent[] {
  if (pending.kind !== 'data' || pending.change.kind !== 'write') return [];
  const { offsetBytes, bytes } = pending.change;
  const firstEdge = pieceBytes - (offsetBytes % pieceBytes);
  const edges: number[] = [];
  for (let edge = firstEdge; edge < bytes.length; edge += pieceBytes) edges.push(edge);
  const chosen =
    edges.length < mostPieces
      ? edges
      : Array.from({ length: randomTears }, () => random.pick(edges));
  const grownOnly = { fromBytes: 0, toBytes: 0 };
  const prefixes = chosen.map((edge) => ({ fromBytes: 0, toBytes: edge }));
  const suffixes = chosen.slice(-1).map((edge) => ({ fromBytes: edge, toBytes: bytes.length }));
  return [grownOnly, ...prefixes, ...suffixes];
}

function whole(kept: readonly Pending[]): Choice {
  return new Map(kept.map((one) => [one, 'all'] as const));
}

function withTorn(before: readonly Pending[], torn: Pending, extent: Extent): Choice {
  return new Map<Pending, Extent>([...before.map((one) => [one, 'all'] as const), [torn, extent]]);
}
