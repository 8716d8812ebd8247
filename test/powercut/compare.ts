/** What was found against what was promised, in words. */
import {
  defaultKey,
  fullNameOf,
  type Expected,
  type ExpectedDisk,
  type SectorValues,
} from './expected.js';
import { garbage, piecesPerSector } from './sectors.js';

export interface FoundDisk {
  readonly kind: 'volume' | 'image' | 'snapshot';
  readonly name: string;
  /** Its key's alias. */
  readonly key: string;
  readonly attached: boolean;
  readonly sectorCount: number;
  /** For each sector the versions of its pieces; undefined when it cannot be read. */
  readonly versions: readonly (readonly number[])[] | undefined;
}

export interface FoundState {
  readonly keys: readonly { readonly alias: string; readonly state: string }[];
  readonly disks: readonly FoundDisk[];
  /** "createKey app (7f…)", allowed ones, in order. */
  readonly audit: readonly string[];
  readonly layers: readonly string[];
  readonly unclaimed: readonly string[];
  readonly containers: readonly string[];
  readonly recovery: readonly string[];
  readonly warnings: readonly string[];
}

export function compare(found: FoundState, expected: Expected): string[] {
  return [
    ...compareKeys(found, expected),
    ...compareDisks(found, expected),
    ...compareAudit(found, expected),
    ...compareContainers(found),
    ...[...found.recovery, ...found.warnings].map((line) => `the start said: ${line}`),
  ];
}

function compareKeys(found: FoundState, expected: Expected): string[] {
  const wanted = expected.keys.map(({ alias, state }) => `key ${alias} ${state}`);
  const there = found.keys.map(({ alias, state }) => `key ${alias} ${state}`);
  // A default key is made before the first disk that needs it, and stays.
  return [...missing(wanted, there), ...extra(wanted, there)].filter(
    (problem) => problem !== `key ${defaultKey} enabled is there, though it should not be`,
  );
}

function compareDisks(found: FoundState, expected: Expected): string[] {
  const line = (disk: { kind: string; name: string; attached: boolean }, key: string): string =>
    `${disk.kind} ${disk.name} of key ${key}${disk.attached ? ', attached' : ''}`;
  const wanted = expected.disks.map((disk) =>
    line({ ...disk, name: fullNameOf(disk) }, disk.key.alias),
  );
  const there = found.disks.map((disk) => line(disk, disk.key));
  const contents = expected.disks.flatMap((disk) => {
    const same = found.disks.find((one) => one.kind === disk.kind && one.name === fullNameOf(disk));
    return same === undefined ? [] : compareContents(same, disk);
  });
  return [...missing(wanted, there), ...extra(wanted, there), ...contents];
}

function compareContents(found: FoundDisk, expected: ExpectedDisk): string[] {
  const what = `${found.kind} ${found.name}`;
  if (found.versions === undefined) return [];
  if (found.sectorCount !== expected.sectors.length) {
    return [`${what} has ${found.sectorCount} sectors instead of ${expected.sectors.length}`];
  }
  return expected.sectors.flatMap((allowed, sector) => {
    const versions = found.versions?.[sector] ?? [];
    if (versions.length === piecesPerSector && versions.every((one) => mayHold(allowed, one))) {
      return [];
    }
    const names = [...new Set(versions)].map((one) => (one === garbage ? 'garbage' : one));
    return [`${what} sector ${sector} holds ${names.join(', ')}, allowed ${allowed.join(', ')}`];
  });
}

/**
 * A write that was not flushed may be torn. Where the sector had been a hole of its layer, what is
 * left of that is zeros, which decrypt to noise, as in every encryption of disks that adds nothing
 * to their sectors.
 */
function mayHold(allowed: SectorValues, version: number): boolean {
  if (version === garbage) return allowed.length > 1;
  return allowed.includes(version);
}

function compareAudit(found: FoundState, expected: Expected): string[] {
  const counts = new Map<string, number>();
  for (const record of found.audit) {
    // Keys are recorded with their ids.
    const text = record.replace(/ \([0-9a-f-]{36}\)$/, '');
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  return [...new Set([...counts.keys(), ...expected.audit.keys()])].flatMap((record) => {
    if (isUse(record)) return [];
    const { least, most } = expected.audit.get(record) ?? { least: 0, most: 0 };
    const there = counts.get(record) ?? 0;
    if (there >= least && there <= most) return [];
    return [`the audit has ${there} times "${record}" instead of ${least} to ${most}`];
  });
}

/** Uses of keys, what they did to disks, and the default key, which no request of its own makes. */
function isUse(record: string): boolean {
  return (
    /^(createDataKey|decryptDatakey|cutOffDisks|reopenDisks) /.test(record) ||
    record === `createKey ${defaultKey}`
  );
}

function compareContainers({ layers, unclaimed, containers }: FoundState): string[] {
  return [
    ...missing(layers, containers).map((problem) => `container ${problem}`),
    ...extra(layers, containers).map((problem) => `container ${problem}`),
    ...unclaimed.map((id) => `container ${id} is still to be removed`),
  ];
}

function missing(wanted: readonly string[], there: readonly string[]): string[] {
  return wanted.filter((one) => !there.includes(one)).map((one) => `${one} is missing`);
}

function extra(wanted: readonly string[], there: readonly string[]): string[] {
  return there
    .filter((one) => !wanted.includes(one))
    .map((one) => `${one} is there, though it should not be`);
}
