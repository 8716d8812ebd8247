/** A FUSE mount of either driver with one writable and one read-only disk, for tests as root. */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmdirSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { addon, type Device, type FuseOptions, type FuseSession } from '../../dist/device/index.js';
import { MIB, newLayer, openStack } from './layers.js';
import { isRoot, tempDirectory, type Teardown } from './temp.js';

/** What a driver can do by its design; the suite expects the honest refusal of what it cannot. */
export interface FuseCapabilities {
  readonly fallocate: boolean;
  readonly seekHole: boolean;
  readonly sharedMappings: boolean;
  /** Tells the handles of this process from those of others. */
  readonly knowsOwner: boolean;
}

export interface FuseDriver {
  readonly capabilities: FuseCapabilities;
  mount(options: FuseOptions): Promise<FuseSession>;
}

export const nativeDriver: FuseDriver = {
  capabilities: { fallocate: true, seekHole: true, sharedMappings: true, knowsOwner: true },
  mount: async (options) => {
    const session = await addon.mountFuse(options);
    session.serve();
    return session;
  },
};

/** Why FUSE tests cannot run here, or false. */
export const noFuse =
  !isRoot || !existsSync('/dev/fuse') ? 'needs root and /dev/fuse' : (false as const);

export interface Mounted {
  readonly session: FuseSession;
  readonly mountPoint: string;
  readonly directory: string;
}

/** An empty mount, ended with the test. */
export async function mountEmpty(t: Teardown, driver: FuseDriver = nativeDriver): Promise<Mounted> {
  const directory = tempDirectory(t);
  const mountPoint = mkdtempSync(join(tmpdir(), 'keyvol-fuse-'));
  const session = await driver.mount({ mountPoint, threads: 4, allowOther: true });
  t.teardown(async () => {
    await session.unmount();
    rmdirSync(mountPoint);
  });
  return { session, mountPoint, directory };
}

/** Adds a writable volume named `name` and returns its path; its id is its name. */
export function exportVolume(
  { session, mountPoint }: Mounted,
  name: string,
  device: Device,
): string {
  session.add({
    id: name,
    directory: 'volumes',
    name,
    device,
    readOnly: false,
    cache: 'direct',
    uid: 0,
    gid: 0,
    mode: 0o600,
  });
  return join(mountPoint, 'volumes', name);
}

/** A mount with one volume of `sizeBytes` on a fresh layer. */
export async function mountVolume(
  t: Teardown,
  sizeBytes = 8 * MIB,
  driver: FuseDriver = nativeDriver,
): Promise<
  Mounted & { readonly device: Device; readonly path: string; readonly layerPath: string }
> {
  const mounted = await mountEmpty(t, driver);
  const layer = newLayer(mounted.directory, sizeBytes);
  const device = await openStack(t, [layer]);
  const path = exportVolume(mounted, 'vol', device);
  return { ...mounted, device, path, layerPath: layer.path };
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program without blocking the event loop, which may be what serves the mount. */
export async function run(program: string, ...args: string[]): Promise<Ran> {
  try {
    const { stdout, stderr } = await promisify(execFile)(program, args, { maxBuffer: 16 * MIB });
    return { code: 0, stdout, stderr };
  } catch (error) {
    // execFile rejects with its error and these fields, whatever the exit status was.
    const { code, stdout, stderr } = error as Ran;
    return { code: typeof code === 'number' ? code : -1, stdout, stderr };
  }
}

/** As `run`, but anything but exit status 0 throws what the program said. */
export async function runOk(program: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(program, ...args);
  if (code !== 0) throw new Error(`${program} ${args.join(' ')}: ${code}\n${stdout}\n${stderr}`);
  return stdout;
}

/** The bytes of a file at an offset, shorter at its end. */
export async function readFileAt(path: string, offset: number, length: number): Promise<Buffer> {
  const file = await open(path, 'r');
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(length, 0xa5), 0, length, offset);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

export async function writeFileAt(path: string, offset: number, bytes: Buffer): Promise<number> {
  const file = await open(path, 'r+');
  try {
    return (await file.write(bytes, 0, bytes.length, offset)).bytesWritten;
  } finally {
    await file.close();
  }
}

/** Waits until `condition` holds, at most 5 s: the kernel closes files on its own time. */
export async function eventually(condition: () => boolean): Promise<boolean> {
  for (let i = 0; i < 100 && !condition(); i += 1) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return condition();
}
