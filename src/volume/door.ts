/** How programs reach an attached disk: as a file of the FUSE mount, or as an NBD export. */
import { join } from 'node:path';
import type { Device, FuseSession, NbdServer } from '../device/index.js';
import type { DiskKind, FileCache, Transport } from '../disk/records.js';
import { Fault } from '../fault.js';
import type { DiskContext } from './context.js';

export interface ShownDisk {
  readonly id: string;
  readonly kind: DiskKind;
  readonly name: string;
  readonly device: Device;
  readonly readOnly: boolean;
  readonly cache: FileCache;
}

type Named = Pick<ShownDisk, 'id' | 'kind' | 'name'>;

export interface Door {
  /** The path of its file, or its URI. */
  placeOf(disk: Named): string;
  /** Programs can use it from now on. Throws FILE_EXISTS when its name is taken. */
  show(disk: ShownDisk): void;
  rename(disk: Named): void;
  /** Whoever uses it meets errors from now on. */
  remove(id: string): void;
  /** How many uses there are, those of our own loop device not counted. */
  users(id: string): number;
  /** How one ends them. */
  readonly endUsers: string;
  /** As FuseSession.setExclusive. */
  setExclusive(id: string, exclusive: boolean): void;
  /** Who uses it now must begin anew. */
  revoke(id: string, which: 'own' | 'all'): void;
  /** As FuseSession.dropMappedPages. */
  dropMappedPages(id: string): Promise<void>;
}

/** Throws FUSE_UNAVAILABLE where there is no FUSE, UNSUPPORTED where there is no NBD. */
export function doorOf(
  { fuse, nbd }: Pick<DiskContext, 'fuse' | 'nbd'>,
  transport: Transport,
): Door {
  if (transport === 'fuse' && fuse !== undefined) return new FuseDoor(fuse);
  if (transport === 'nbd' && nbd !== undefined) return new NbdDoor(nbd);
  if (transport === 'nbd') throw new Fault('UNSUPPORTED', 'this daemon does not serve NBD');
  throw new Fault('FUSE_UNAVAILABLE', 'disks cannot be attached: FUSE is not available here', {
    hint: 'run the daemon where /dev/fuse exists and can be opened, or attach with --nbd',
  });
}

const directoryOf = (kind: DiskKind): 'volumes' | 'images' =>
  kind === 'image' ? 'images' : 'volumes';

class FuseDoor implements Door {
  readonly endUsers = 'end what uses it (fuser and losetup -a show it)';
  readonly #fuse: FuseSession;

  constructor(fuse: FuseSession) {
    this.#fuse = fuse;
  }

  placeOf({ kind, name }: Named): string {
    return join(this.#fuse.mountPoint, directoryOf(kind), name);
  }

  show({ kind, ...disk }: ShownDisk): void {
    this.#fuse.add({
      ...disk,
      directory: directoryOf(kind),
      uid: process.getuid?.() ?? 0,
      gid: process.getgid?.() ?? 0,
      mode: disk.readOnly ? 0o400 : 0o600,
    });
  }

  rename({ id, name }: Named): void {
    this.#fuse.rename(id, name);
  }

  remove(id: string): void {
    this.#fuse.remove(id);
  }

  users(id: string): number {
    return this.#fuse.openHandles(id).others;
  }

  setExclusive(id: string, exclusive: boolean): void {
    this.#fuse.setExclusive(id, exclusive);
  }

  revoke(id: string, which: 'own' | 'all'): void {
    this.#fuse.revokeHandles(id, which);
  }

  dropMappedPages(id: string): Promise<void> {
    return this.#fuse.dropMappedPages(id);
  }
}

class NbdDoor implements Door {
  readonly endUsers = 'disconnect its NBD clients';
  readonly #nbd: NbdServer;

  constructor(nbd: NbdServer) {
    this.#nbd = nbd;
  }

  /** https://github.com/NetworkBlockDevice/nbd/blob/master/doc/uri.md */
  placeOf(disk: Named): string {
    return `nbd+unix:///${exportName(disk)}?socket=${socketInUri(this.#nbd.socketPath)}`;
  }

  show(disk: ShownDisk): void {
    const { id, device, readOnly } = disk;
    this.#nbd.add({ id, name: exportName(disk), device, readOnly });
  }

  rename(disk: Named): void {
    this.#nbd.rename(disk.id, exportName(disk));
  }

  remove(id: string): void {
    this.#nbd.remove(id);
  }

  users(id: string): number {
    return this.#nbd.connections(id);
  }

  setExclusive(): void {
    // Nothing of ours ever uses an export, and its clients share it.
  }

  revoke(id: string): void {
    this.#nbd.disconnect(id);
  }

  dropMappedPages(): Promise<void> {
    return Promise.resolve(); // what clients hold is theirs
  }
}

/** As a value of an NBD URI. */
export function socketInUri(socketPath: string): string {
  return encodeURIComponent(socketPath).replaceAll('%2F', '/');
}

function exportName({ kind, name }: Named): string {
  return `${directoryOf(kind)}/${name}`;
}
