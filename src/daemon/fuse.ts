/** The FUSE mount that shows attached disks as files, or the reason why there is none. */
import { accessSync, constants, mkdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { FuseDriver } from '../api/directories.js';
import { mountPortableFuse } from '../device/fuse-portable.js';
import { HeldHost } from '../device/held-host.js';
import type { Addon, FuseOptions, FuseSession, MountHost } from '../device/index.js';
import { Fault } from '../fault.js';
import { cleanStaleMounts } from '../volume/stale-mounts.js';
import { startHolder, type HolderSettings } from './holder.js';

export interface FuseSettings {
  /** Undefined when none was asked for: then a host without FUSE is only warned of. */
  readonly driver: FuseDriver | undefined;
  readonly runtimeDir: string;
  readonly holderTimeoutSeconds: number;
  readonly addon: Addon;
  /** Replaceable for tests. */
  readonly device?: string;
}

export interface OpenedFuse {
  readonly session?: FuseSession;
  /** The driver in use. */
  readonly driver: FuseDriver;
  /** Why disks cannot be attached, where they should be. */
  readonly warning?: string;
  /** Does what could wait on our own disks. */
  readonly host: MountHost;
  /** What was cleaned up of a former daemon, and what could not be. */
  readonly recovery: readonly string[];
  /** Gives the mount a new holder if it has lost its own; says so then. */
  keepHeld(): Promise<string | undefined>;
}

// More threads than these only contend for one connection.
const fewestThreads = 2;
const mostThreads = 8;
/** A daemon that was killed holds on to its mount until its last thread has ended. */
const claimedWithinMs = 5000;
const pollMs = 10;

/**
 * Mounts on `<runtimeDir>/disks`, or takes over what a former daemon mounted there and its holder
 * has kept. Nothing is answered before `session.serve()`. The caller unmounts. Without an asked
 * driver a host without FUSE gets a warning; a driver asked for throws FUSE_UNAVAILABLE there.
 */
export async function openFuse(settings: FuseSettings): Promise<OpenedFuse> {
  const { driver: asked, runtimeDir, addon, device = '/dev/fuse' } = settings;
  if (asked !== 'none' && isUsable(device)) return mount(asked ?? 'native', settings);
  if (asked !== undefined && asked !== 'none') throw unavailable(asked, device);
  await releaseHolder(settings);
  const recovery = await cleanStaleMounts(runtimeDir, addon);
  const warning = `${device} cannot be used here: no disk can be attached or mounted`;
  return {
    driver: 'none',
    host: addon,
    recovery,
    keepHeld: () => Promise.resolve(undefined),
    ...(asked === 'none' ? {} : { warning }),
  };
}

/** How many threads serve a mount here. */
export function fuseThreads(): number {
  return Math.min(mostThreads, Math.max(fewestThreads, availableParallelism()));
}

async function mount(driver: 'native' | 'portable', settings: FuseSettings): Promise<OpenedFuse> {
  const { runtimeDir, addon, holderTimeoutSeconds } = settings;
  const mountPoint = path.join(runtimeDir, 'disks');
  const options = { mountPoint, threads: fuseThreads(), allowOther: false };
  if (driver === 'portable') {
    await releaseHolder(settings);
    const recovery = await cleanStaleMounts(runtimeDir, addon);
    mkdirSync(mountPoint, { recursive: true, mode: 0o700 });
    const session = await mountPortableFuse(options);
    return {
      driver,
      session,
      host: addon,
      recovery,
      keepHeld: () => Promise.resolve(undefined),
    };
  }
  const holder = {
    socketPath: holderSocket(runtimeDir),
    timeoutSeconds: holderTimeoutSeconds,
  };
  const claimed = await claim(addon, { ...options, holder: holder.socketPath });
  if (claimed !== undefined) return held(addon, claimed, holder, []);
  const recovery = await cleanStaleMounts(runtimeDir, addon);
  mkdirSync(mountPoint, { recursive: true, mode: 0o700 });
  await startHolder(holder);
  const session = await addon.mountFuse({ ...options, holder: holder.socketPath });
  return held(addon, session, holder, recovery);
}

/** Ends what a killed daemon with the native driver has left. Throws WRONG_STATE while it is in use. */
async function releaseHolder({ runtimeDir, addon }: FuseSettings): Promise<void> {
  try {
    await addon.askHolder(holderSocket(runtimeDir), ['release']);
  } catch (cause) {
    if (!(cause instanceof Fault)) throw cause;
    if (cause.code === 'FILE_NOT_FOUND') return;
    throw new Fault('WRONG_STATE', 'disks that a killed daemon has left are in use', {
      cause,
      hint: 'start with --fuse-driver native, which goes on with them',
    });
  }
}

const holderSocket = (runtimeDir: string): string => path.join(runtimeDir, 'holder.sock');

/** Undefined when there is no holder. */
async function claim(addon: Addon, options: FuseOptions): Promise<FuseSession | undefined> {
  const deadlineMs = performance.now() + claimedWithinMs;
  for (;;) {
    try {
      return await addon.mountFuse(options);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      if (error.code === 'FILE_NOT_FOUND') return undefined;
      if (error.code !== 'BUSY' || performance.now() > deadlineMs) throw error;
      await setTimeout(pollMs);
    }
  }
}

function held(
  addon: Addon,
  session: FuseSession,
  holder: HolderSettings,
  recovery: readonly string[],
): OpenedFuse {
  const host = new HeldHost(addon, holder.socketPath);
  const keepHeld = async (): Promise<string | undefined> => {
    if (session.isHeld) return undefined;
    await startHolder(holder);
    await session.entrust();
    await host.informHolder();
    return 'the holder of the mount had ended, and another has taken its place';
  };
  return { driver: 'native', session, host, recovery, keepHeld };
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
