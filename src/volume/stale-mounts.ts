/** What a daemon that was killed leaves in the kernel: filesystems, loop devices, the FUSE mount. */
import { join } from 'node:path';
import type { MountHost } from '../device/index.js';
import { isInside, readLoops, readMounts, realPathOf, type LoopEntry } from './mount-table.js';

/**
 * Unmounts and detaches what a former daemon with the same runtime directory left, and says what it
 * did and could not do. Call it before the FUSE mount is made, while nobody keeps a former one.
 */
export async function cleanStaleMounts(runtimeDir: string, host: MountHost): Promise<string[]> {
  const fuseRoot = join(await realPathOf(runtimeDir), 'disks');
  const said = await releaseLoops(runtimeDir, host, new Set());
  for (const entry of (await readMounts()).reverse()) {
    if (entry.directory !== fuseRoot || !entry.filesystem.startsWith('fuse')) continue;
    said.push(await attempt(`unmounted ${fuseRoot}`, host.unmountFilesystem(fuseRoot, true)));
  }
  return said;
}

/** The same for loop devices alone, but for those in `kept`, which are in use. */
export async function releaseLoops(
  runtimeDir: string,
  host: MountHost,
  kept: ReadonlySet<string>,
): Promise<string[]> {
  const said: string[] = [];
  for (const loop of await loopsOf(runtimeDir)) {
    if (!kept.has(loop.device)) said.push(...(await releaseLoop(loop, host)));
  }
  return said;
}

/** The loop devices on files of the FUSE mount, of whichever daemon. */
export async function loopsOf(runtimeDir: string): Promise<LoopEntry[]> {
  const fuseRoot = join(await realPathOf(runtimeDir), 'disks');
  return (await readLoops()).filter((loop) => isInside(loop.backingFile, fuseRoot));
}

async function releaseLoop(loop: LoopEntry, host: MountHost): Promise<string[]> {
  const said: string[] = [];
  for (const { directory, source } of (await readMounts()).reverse()) {
    if (source !== loop.device) continue;
    // A frozen filesystem that is unmounted stays frozen and unreachable for ever.
    await host.thawFilesystem(directory, source).catch(() => undefined);
    said.push(await attempt(`unmounted ${directory}`, host.unmountFilesystem(directory, true)));
  }
  said.push(await attempt(`detached ${loop.device}`, host.detachLoop(loop.device)));
  return said;
}

async function attempt(done: string, work: Promise<void>): Promise<string> {
  return work.then(
    () => `${done}, left by a former daemon`,
    (error: unknown) => `could not clean up: ${String(error)}`,
  );
}
