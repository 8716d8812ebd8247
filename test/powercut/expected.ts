/** What a history promises: a model of keys, disks, sectors and audit records. */
import { isDataRequest, type History, type Operation } from './history.js';

export const defaultKey = 'evs/default';

type Kind = 'volume' | 'image' | 'snapshot';

/**
 * What a sector may hold: the last value that was flushed, then everything written later, in
 * order. Versions as in sectors.ts; an unwritten or discarded sector is 0.
 */
export type SectorValues = readonly number[];

export interface ExpectedDisk {
  readonly kind: Kind;
  /** Of a snapshot: without its volume's name. */
  name: string;
  /** Of a snapshot. */
  readonly volume?: ExpectedDisk;
  readonly key: ExpectedKey;
  attached: boolean;
  sectors: SectorValues[];
}

export interface ExpectedKey {
  alias: string;
  state: 'enabled' | 'disabled';
}

export interface Expected {
  readonly keys: readonly ExpectedKey[];
  readonly disks: readonly ExpectedDisk[];
  /** How often each action was allowed on each resource: "createVolume volume db". */
  readonly audit: ReadonlyMap<string, AuditCount>;
}

export interface AuditCount {
  readonly least: number;
  readonly most: number;
}

/** "db", or "db@monday" for a snapshot. */
export function fullNameOf(disk: ExpectedDisk): string {
  return disk.volume === undefined ? disk.name : `${disk.volume.name}@${disk.name}`;
}

/** Requests without an answer that change records. The workload has few of them at a time. */
export function unanswered(history: History): number[] {
  const open = new Map<number, Operation>();
  for (const fact of history) {
    if (fact.fact === 'asked') open.set(fact.id, fact.operation);
    else open.delete(fact.id);
  }
  return [...open].flatMap(([id, operation]) => (isDataRequest(operation) ? [] : [id]));
}

/** A change of a key and its record are one; a verb on a disk is recorded when it is done. */
function isKeyRequest(operation: Operation): boolean {
  return operation.do.endsWith('-key');
}

/** The model after `history`, with those of its unanswered requests that are in `alsoDone`. */
export function expectedAfter(history: History, alsoDone: readonly number[]): Expected {
  const model = new Model();
  const asked = new Map<number, Operation>();
  const answered = new Set(history.flatMap((fact) => (fact.fact === 'asked' ? [] : [fact.id])));
  for (const fact of history) {
    if (fact.fact === 'asked') {
      asked.set(fact.id, fact.operation);
      model.ask(fact.id, fact.operation);
    } else {
      const operation = asked.get(fact.id);
      if (operation === undefined) continue;
      if (fact.fact === 'done') model.finish(fact.id, operation);
      else if (fact.fact === 'refused') model.refuse(operation);
      else model.half(fact.id, operation, false);
    }
  }
  for (const [id, operation] of asked) {
    if (!answered.has(id) && alsoDone.includes(id))
      model.half(id, operation, isKeyRequest(operation));
  }
  return model;
}

class Model implements Expected {
  readonly keys: ExpectedKey[] = [];
  readonly disks: ExpectedDisk[] = [];
  readonly audit = new Map<string, AuditCount>();
  /** What is being done is recorded for certain. */
  #isRecorded = true;
  /** For a flush that runs: per sector, how many values it leaves behind. */
  readonly #flushes = new Map<number, number[]>();

  ask(id: number, operation: Operation): void {
    if (operation.do === 'write' || operation.do === 'discard') {
      const value = operation.do === 'write' ? operation.version : 0;
      this.#put(this.#volume(operation.volume), operation, value);
    }
    if (operation.do === 'flush') {
      const counts = this.#volume(operation.volume).sectors.map((values) => values.length - 1);
      this.#flushes.set(id, counts);
    }
  }

  /** The last one that was asked: what it might have written is not there. */
  refuse(operation: Operation): void {
    if (operation.do !== 'write' && operation.do !== 'discard') return;
    const disk = this.#volume(operation.volume);
    for (let at = operation.sector; at < operation.sector + operation.sectors; at += 1) {
      disk.sectors[at] = (disk.sectors[at] ?? []).slice(0, -1);
    }
  }

  /** Done, but not acknowledged: what it flushes of attached disks may be on its way still. */
  half(id: number, operation: Operation, isRecorded: boolean): void {
    const before = this.disks.map((disk) => [disk, disk.sectors] as const);
    this.#isRecorded = isRecorded;
    this.finish(id, operation);
    this.#isRecorded = true;
    if (operation.do !== 'detach' && operation.do !== 'disable-key') return;
    for (const [disk, sectors] of before) disk.sectors = sectors;
  }

  finish(id: number, operation: Operation): void {
    switch (operation.do) {
      case 'flush': {
        this.#flushed(id, this.#volume(operation.volume));
        return;
      }
      case 'create-key':
        this.#createKey(operation.alias);
        return;
      case 'disable-key': {
        this.#setKeyState(operation.alias, 'disabled', 'disableKey');
        return;
      }
      case 'enable-key': {
        this.#setKeyState(operation.alias, 'enabled', 'enableKey');
        return;
      }
      case 'rename-key': {
        this.#renameKey(operation.alias, operation.to);
        return;
      }
      case 'create-volume': {
        this.#createVolume(operation);
        return;
      }
      case 'clone': {
        this.#clone(operation.volume, operation.name);
        return;
      }
      case 'create-snapshot': {
        this.#snapshot(operation.snapshot);
        return;
      }
      case 'create-image': {
        this.#image(operation);
        return;
      }
      case 'rollback': {
        this.#rollback(operation.snapshot);
        return;
      }
      case 'rename': {
        this.#rename(operation.kind, operation.name, operation.to);
        return;
      }
      case 'delete': {
        this.#delete(operation.kind, operation.name);
        return;
      }
      case 'attach':
      case 'detach': {
        this.#attach(operation.volume, operation.do);
        return;
      }
      case 'resize': {
        this.#resize(operation.volume, operation.sectors);
        return;
      }
      case 'stop': {
        this.disks.forEach(settle);
        return;
      }
      case 'write':
      case 'discard':
    }
  }

  #put(disk: ExpectedDisk, span: { sector: number; sectors: number }, value: number): void {
    for (let at = span.sector; at < span.sector + span.sectors; at += 1) {
      disk.sectors[at] = [...(disk.sectors[at] ?? []), value];
    }
  }

  #flushed(id: number, disk: ExpectedDisk): void {
    const before = this.#flushes.get(id) ?? [];
    disk.sectors = disk.sectors.map((values, at) => values.slice(before[at] ?? 0));
  }

  #createKey(alias: string): ExpectedKey {
    const key: ExpectedKey = { alias, state: 'enabled' };
    this.keys.push(key);
    this.#audited('createKey', alias);
    return key;
  }

  #setKeyState(alias: string, state: ExpectedKey['state'], action: string): void {
    const key = this.#key(alias);
    this.#audited(action, alias);
    key.state = state;
    // Cutting off flushes what is attached.
    if (state === 'disabled') this.disks.filter((disk) => disk.key === key).forEach(settle);
  }

  #renameKey(alias: string, to: string): void {
    this.#audited('updateKeyAlias', alias);
    this.#key(alias).alias = to;
  }

  #createVolume(operation: Extract<Operation, { do: 'create-volume' }>): void {
    const { name, image, snapshot, key } = operation;
    const source = this.#source(image, snapshot);
    const fresh = Array.from({ length: operation.sectors }, () => [0]);
    const sectors = fresh.map((values, at) => source?.sectors[at] ?? values);
    this.disks.push({
      kind: 'volume',
      name,
      key: source?.key ?? this.#keyOrDefault(key),
      attached: false,
      sectors,
    });
    this.#audited('createVolume', `volume ${name}`);
  }

  #source(image: string | undefined, snapshot: string | undefined): ExpectedDisk | undefined {
    if (image !== undefined) return this.#disk('image', image);
    return snapshot === undefined ? undefined : this.#disk('snapshot', snapshot);
  }

  #clone(volume: string, name: string): void {
    const source = settle(this.#volume(volume));
    const { key, sectors } = source;
    this.disks.push({ kind: 'volume', name, key, attached: false, sectors: [...sectors] });
    this.#audited('createVolume', `volume ${name}`);
  }

  #snapshot(snapshot: string): void {
    const [volumeName = '', name = ''] = snapshot.split('@');
    const volume = settle(this.#volume(volumeName));
    const { key, sectors } = volume;
    const kind = 'snapshot';
    this.disks.push({ kind, name, volume, key, attached: false, sectors: [...sectors] });
    this.#audited('createSnapshot', `snapshot ${snapshot}`);
  }

  #image({ name, volume, snapshot }: Extract<Operation, { do: 'create-image' }>): void {
    const source =
      volume === undefined ? this.#disk('snapshot', snapshot ?? '') : settle(this.#volume(volume));
    const { key, sectors } = source;
    this.disks.push({ kind: 'image', name, key, attached: false, sectors: [...sectors] });
    this.#audited('createImage', `image ${name}`);
  }

  #rollback(asked: string): void {
    const snapshot = this.#disk('snapshot', asked);
    if (snapshot.volume !== undefined) snapshot.volume.sectors = [...snapshot.sectors];
    this.#audited('rollbackSnapshot', `snapshot ${asked}`);
  }

  #rename(kind: 'volume' | 'image', name: string, to: string): void {
    this.#disk(kind, name).name = to;
    this.#audited(kind === 'volume' ? 'updateVolume' : 'updateImage', `${kind} ${name}`);
  }

  #delete(kind: Kind, name: string): void {
    this.disks.splice(this.disks.indexOf(this.#disk(kind, name)), 1);
    const noun = { volume: 'Volume', image: 'Image', snapshot: 'Snapshot' }[kind];
    this.#audited(`delete${noun}`, `${kind} ${name}`);
  }

  #attach(name: string, verb: 'attach' | 'detach'): void {
    const volume = this.#volume(name);
    volume.attached = verb === 'attach';
    if (verb === 'detach') settle(volume);
    this.#audited(`${verb}Volume`, `volume ${name}`);
  }

  #resize(name: string, sectors: number): void {
    const volume = settle(this.#volume(name));
    const fresh = Array.from({ length: sectors }, () => [0]);
    volume.sectors = fresh.map((values, at) => volume.sectors[at] ?? values);
    this.#audited('updateVolume', `volume ${name}`);
  }

  #keyOrDefault(alias: string | undefined): ExpectedKey {
    if (alias !== undefined) return this.#key(alias);
    return this.keys.find((key) => key.alias === defaultKey) ?? this.#createKey(defaultKey);
  }

  #key(alias: string): ExpectedKey {
    const key = this.keys.find((one) => one.alias === alias);
    if (key === undefined) throw new Error(`the history has no key ${alias}`);
    return key;
  }

  #volume(name: string): ExpectedDisk {
    return this.#disk('volume', name);
  }

  #disk(kind: Kind, name: string): ExpectedDisk {
    const disk = this.disks.find((one) => one.kind === kind && fullNameOf(one) === name);
    if (disk === undefined) throw new Error(`the history has no ${kind} ${name}`);
    return disk;
  }

  #audited(action: string, resource: string): void {
    const record = `${action} ${resource}`;
    const { least, most } = this.audit.get(record) ?? { least: 0, most: 0 };
    this.audit.set(record, { least: least + (this.#isRecorded ? 1 : 0), most: most + 1 });
  }
}

/** All that was written is flushed. */
function settle(disk: ExpectedDisk): ExpectedDisk {
  disk.sectors = disk.sectors.map((values) => values.slice(-1));
  return disk;
}
