/** Does what a history asks for, by the services of keyvol. */
import type { Device } from '../../dist/device/index.js';
import { Fault } from '../../dist/fault.js';
import { isDataRequest, type DataRequest, type Fact, type Operation } from './history.js';
import { sectorBytes, sectorPattern } from './sectors.js';
import { caller, openServices, type ServiceOptions, type Services } from './services.js';

export interface Attempt {
  readonly id: number;
  readonly refusal?: Fault;
  /** A key that is shut, which must be asked for again to be recorded. */
  readonly isShutOnly?: boolean;
}

/** A set of services that a workload drives, and what it was told. */
export class Performer {
  readonly history: Fact[] = [];
  readonly #stateDir: string;
  readonly #options: ServiceOptions;
  /** Hears of every fact at the moment it becomes one. */
  readonly #onFact: (fact: Fact) => void;
  #services: Services;
  #lastId = 0;

  private constructor(
    stateDir: string,
    services: Services,
    options: ServiceOptions,
    onFact: (fact: Fact) => void,
  ) {
    this.#stateDir = stateDir;
    this.#services = services;
    this.#options = options;
    this.#onFact = onFact;
  }

  static async open(
    stateDir: string,
    options: ServiceOptions,
    onFact: (fact: Fact) => void = () => undefined,
  ): Promise<Performer> {
    const services = await openServices(stateDir, options);
    return new Performer(stateDir, services, options, onFact);
  }

  /** Never throws for a refusal, which is a fact too. What no disk can be asked for is left out. */
  async perform(operation: Operation): Promise<void> {
    if (isDataRequest(operation) && !this.#reaches(operation)) return;
    const { id, refusal } = await this.attempt(operation);
    if (refusal !== undefined) this.answer(id, 'refused');
  }

  /** Leaves it to the caller to say what a refusal means. */
  async attempt(operation: Operation): Promise<Attempt> {
    this.#lastId += 1;
    const id = this.#lastId;
    this.#note({ fact: 'asked', id, operation });
    const { warnings } = this.#services;
    const told = warnings.length;
    try {
      const isShutOnly = isUnrecorded(await this.#do(operation));
      if (isShutOnly) return { id, isShutOnly };
      const hasNoRecord = warnings.slice(told).some((line) => line.includes('has no audit record'));
      this.#note({ fact: hasNoRecord ? 'half-done' : 'done', id });
      return { id };
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      return { id, refusal: error };
    }
  }

  answer(id: number, fact: 'refused' | 'half-done'): void {
    this.#note({ fact, id });
  }

  /** Changes with every stop. */
  get services(): Services {
    return this.#services;
  }

  /** A stop without a start after it; if it throws, only that is left undone which it says. */
  async end(): Promise<void> {
    this.#lastId += 1;
    const id = this.#lastId;
    this.#note({ fact: 'asked', id, operation: { do: 'stop' } });
    await this.#services.stop();
    this.#note({ fact: 'done', id });
  }

  /** The start after it. */
  async begin(): Promise<void> {
    this.#services = await openServices(this.#stateDir, this.#options);
  }

  /** Leaves nothing open. Not a fact. */
  async close(): Promise<void> {
    await this.#services.stop();
  }

  #note(fact: Fact): void {
    this.history.push(fact);
    this.#onFact(fact);
  }

  async #do(operation: Operation): Promise<unknown> {
    const { keys, disks } = this.#services;
    switch (operation.do) {
      case 'create-key':
        return keys.createKey({ alias: operation.alias }, caller);
      case 'disable-key':
        return keys.disableKey(operation.alias, caller);
      case 'enable-key':
        return keys.enableKey(operation.alias, caller);
      case 'rename-key':
        return keys.renameKey(operation.alias, operation.to, caller);
      case 'create-volume': {
        const { do: _verb, sectors, ...volume } = operation;
        return disks.volumes.create({ ...volume, sizeBytes: sectors * sectorBytes }, caller);
      }
      case 'clone':
        return disks.volumes.clone(operation.volume, operation.name, caller);
      case 'create-snapshot':
        return disks.snapshots.create(operation.snapshot, caller);
      case 'rollback':
        return disks.snapshots.rollback(operation.snapshot, caller);
      case 'create-image': {
        const { do: _verb, ...image } = operation;
        return disks.images.create(image, caller);
      }
      case 'rename': {
        const owner = operation.kind === 'volume' ? disks.volumes : disks.images;
        return owner.rename(operation.name, operation.to, caller);
      }
      case 'delete':
        return this.#delete(operation.kind, operation.name);
      case 'attach':
        return disks.volumes.attach(operation.volume, {}, caller);
      case 'detach':
        return disks.volumes.detach(operation.volume, {}, caller);
      case 'resize': {
        const { volume, sectors, shrink = false } = operation;
        const request = { sizeBytes: sectors * sectorBytes, shrink, confirm: volume };
        return disks.volumes.resize(volume, request, caller);
      }
      case 'flush':
        return this.#device(operation.volume).flush();
      case 'write': {
        const { sector, version } = operation;
        const sectors = Array.from({ length: operation.sectors }, (_, index) =>
          sectorPattern(sector + index, version),
        );
        return this.#device(operation.volume).write(Buffer.concat(sectors), sector * sectorBytes);
      }
      case 'discard':
        return this.#device(operation.volume).discard(
          operation.sector * sectorBytes,
          operation.sectors * sectorBytes,
        );
      case 'stop':
        await this.#services.stop();
        return this.begin();
    }
  }

  #delete(kind: 'volume' | 'image' | 'snapshot', name: string): Promise<unknown> {
    const { volumes, images, snapshots } = this.#services.disks;
    return { volume: volumes, image: images, snapshot: snapshots }[kind].delete(name, caller);
  }

  #reaches(operation: DataRequest): boolean {
    const device = this.#services.session.devices.get(operation.volume);
    if (device === undefined) return false;
    if (operation.do === 'flush') return true;
    return (operation.sector + operation.sectors) * sectorBytes <= device.sizeBytes;
  }

  #device(volume: string): Device {
    const device = this.#services.session.devices.get(volume);
    if (device === undefined) throw new Fault('WRONG_STATE', `volume ${volume} is not attached`);
    return device;
  }
}

/** The reply says that a restart would forget what was done. */
function isUnrecorded(reply: unknown): boolean {
  if (typeof reply !== 'object' || reply === null || !('unrecorded' in reply)) return false;
  return String(reply.unrecorded).includes('repeat the command');
}
