/** The FUSE mount that shows attached disks as files, or the reason why there is none. */
import { accessSync, constants, mkdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import type { FuseDriver } from '../api/directories.js';
import { mountPortableFuse } from '../device/fuse-portable.js';
import type { Addon, FuseSession } from '../device/index.js';
import { Fault } from '../fault.js';

export interface OpenedFuse {
  readonly session?: FuseSession;
  /** The driver in use. */
  readonly driver: FuseDriver;
  /** Why disks cannot be attached, where they should be. */
  readonly warning?: string;
}

// More threads than these only contend for one connection.
const fewestThreads = 2;
const mostThreads = 8;

/**
 * Mounts on `<runtimeDir>/disks`. The caller unmounts. Without an `asked` driver a host without FUSE
 * gets a warning; a driver asked for throws FUSE_UNAVAILABLE there.
 */
export async function openFuse(
  asked: FuseDriver | undefined,
  runtimeDir: string,
  addon: Pick<Addon, 'mountFuse'>,
  fuseDevice = '/dev/fuse',
): Promise<OpenedFuse> {
  if (asked === 'none') return { driver: asked };
  if (!isUsable(fuseDevice)) {
    if (asked !== undefined) throw unavailable(asked, fuseDevice);
    return {
      driver: 'none',
      warning: `${fuseDevice} cannot be used here: no disk can be attached or mounted`,
    };
  }
  const driver = asked ?? 'native';
  const mountPoint = path.join(runtimeDir, 'disks');
  mkdirSync(mountPoint, { recursive: true, mode: 0o700 });
  const threads = Math.min(mostThreads, Math.max(fewestThreads, availableParallelism()));
  const options = { mountPoint, threads, allowOther: false };
  const session =
    driver === 'portable' ? await mountPortableFuse(options) : await addon.mountFuse(options);
  return { driver, session };
}

function unavailable(asked: FuseDriver, fuseDevice: string): Fault {
  return new Fault(
    'FUSE_UNAVAILABLE',
    `FUSE driver ${asked} was asked for, but ${fuseDevice} cannot be used`,
    {
      hint: 'load the module fuse, or start with --fuse-driver none to do without attached disks',
    },
  );
}

function isUsable(fuseDevice: string): boolean {
  try {
    accessSync(fuseDevice, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
