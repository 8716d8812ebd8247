/** Does what a history asks for, by the services of keyvol. */
import type { Device } from '../../dist/device/index.js';
import { Fault } from '../../dist/fault.js';
import { isDataRequest, type DataRequest, type Fact, type Operation } from './history.js';
import { sectorBytes, sectorPattern } from './sectors.js';
import { caller, openServices, type ServiceOptions, type Services } from './services.js';

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
    this.#lastId += 1;
    const id = this.#lastId;
    this.#note({ fact: 'asked', id, operation });
    try {
      await this.#do(operation);
      this.#note({ fact: 'done', id });
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      this.#note({ fact: 'refused', id });
    }
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
        return this.#restart();
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

  async #restart(): Promise<void> {
    await this.#services.stop();
    this.#services = await openServices(this.#stateDir, this.#options);
  }
}
