/** The FUSE mount that shows attached disks as files, or the reason why there is none. */
import { accessSync, constants, mkdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import type { FuseDriver } from '../api/directories.js';
import { mountPortableFuse } from '../device/fuse-portable.js';
import type { Addon, FuseSession } from '../device/index.js';

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

/** Mounts on `<runtimeDir>/disks`. The caller unmounts. */
export async function openFuse(
  driver: FuseDriver,
  runtimeDir: string,
  addon: Addon,
): Promise<OpenedFuse> {
  if (driver === 'none') return { driver };
  if (!hasFuse()) {
    return {
      driver: 'none',
      warning: '/dev/fuse cannot be used here: no disk can be attached or mounted',
    };
  }
  const mountPoint = path.join(runtimeDir, 'disks');
  mkdirSync(mountPoint, { recursive: true, mode: 0o700 });
  const threads = Math.min(mostThreads, Math.max(fewestThreads, availableParallelism()));
  const options = { mountPoint, threads, allowOther: false };
  const session =
    driver === 'portable' ? await mountPortableFuse(options) : await addon.mountFuse(options);
  return { driver, session };
}

function hasFuse(): boolean {
  try {
    accessSync('/dev/fuse', constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
