/** Where the daemon keeps its state and its sockets; one answer for the daemon and its clients. */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import path from 'node:path';
import { Fault } from '../fault.js';

export const fuseDrivers = ['native', 'portable', 'none'] as const;
export type FuseDriver = (typeof fuseDrivers)[number];

/** The settings a command line or a config file can give. */
export interface Settings {
  readonly stateDir?: string | undefined;
  readonly runtimeDir?: string | undefined;
  readonly fuseDriver?: FuseDriver | undefined;
  /** Address and port for NBD over TLS. */
  readonly nbdListen?: string | undefined;
  /** The directory of its certificates or keys. */
  readonly nbdTls?: string | undefined;
}

export interface Directories {
  readonly stateDir: string;
  readonly runtimeDir: string;
  /** The API's Unix socket, in the runtime directory. */
  readonly socketPath: string;
}

/** Who asks: replaceable, so that tests need not be another user. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly uid: number;
}

const systemConfigFile = '/etc/keyvol/keyvold.json';
// sun_path of unix(7) holds 108 bytes with its end.
const longestSocketPathBytes = 107;

const fieldOfSetting = {
  state_dir: 'stateDir',
  runtime_dir: 'runtimeDir',
  fuse_driver: 'fuseDriver',
  nbd_listen: 'nbdListen',
  nbd_tls: 'nbdTls',
} as const;

/**
 * The directories by flag, environment, config file, or default, in that order. Throws
 * INVALID_ARGUMENT for a directory that cannot be used as one.
 */
export function resolveDirectories(
  flags: Settings,
  file: Settings,
  surroundings: Surroundings = currentSurroundings(),
): Directories {
  const { env, uid } = surroundings;
  const stateDir = firstOf(
    [flags.stateDir, env.KEYVOL_STATE_DIR, file.stateDir],
    defaultStateDir(env, uid),
  );
  const runtimeDir = firstOf(
    [flags.runtimeDir, env.KEYVOL_RUNTIME_DIR, file.runtimeDir],
    defaultRuntimeDir(env, uid),
  );
  return { stateDir, runtimeDir, socketPath: socketPathIn(runtimeDir) };
}

/**
 * The settings of the config file at `file`, or of the system's one if there is any. Throws
 * FILE_NOT_FOUND, INVALID_ARGUMENT.
 */
export function readConfigFile(file?: string): Settings {
  const text = readConfigText(file ?? systemConfigFile, file !== undefined);
  return text === undefined ? {} : parseConfig(text, file ?? systemConfigFile);
}

/** "192.0.2.1:10809" or "[2001:db8::1]:10809". Throws INVALID_ARGUMENT. */
export function parseListenAddress(text: string): { address: string; port: number } {
  const [, bracketed, plain, digits] = /^(?:\[(.+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const address = bracketed ?? plain ?? '';
  const port = Number(digits);
  const isAddress = isIP(address) === (bracketed === undefined ? 4 : 6);
  if (isAddress && port <= 65535) return { address, port };
  throw new Fault('INVALID_ARGUMENT', `${text} is no numeric address with a port`, {
    hint: 'for example 192.0.2.1:10809 or [::]:10809',
  });
}

export function isFuseDriver(text: string): text is FuseDriver {
  return fuseDrivers.some((driver) => driver === text);
}

function currentSurroundings(): Surroundings {
  // Only Windows has no getuid, and keyvol does not run there.
  return { env: process.env, uid: process.getuid?.() ?? 0 };
}

function firstOf(candidates: readonly (string | undefined)[], fallback: string): string {
  // An empty variable is one that a script forgot to fill, not the current directory.
  return path.resolve(
    candidates.find((candidate) => candidate !== undefined && candidate !== '') ?? fallback,
  );
}

function defaultStateDir(env: Surroundings['env'], uid: number): string {
  if (uid === 0) return '/var/lib/keyvol';
  const home = env.XDG_STATE_HOME || path.join(env.HOME || '/', '.local/state');
  return path.join(home, 'keyvol');
}

function defaultRuntimeDir(env: Surroundings['env'], uid: number): string {
  if (uid === 0) return '/run/keyvol';
  return path.join(env.XDG_RUNTIME_DIR || `/run/user/${String(uid)}`, 'keyvol');
}

function socketPathIn(runtimeDir: string): string {
  const socketPath = path.join(runtimeDir, 'api.sock');
  if (Buffer.byteLength(socketPath) > longestSocketPathBytes) {
    throw new Fault(
      'INVALID_ARGUMENT',
      `runtime directory ${runtimeDir} is too long for a socket`,
      {
        hint: 'give a shorter one with --runtime-dir',
      },
    );
  }
  return socketPath;
}

function readConfigText(file: string, required: boolean): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (isNotFound(error)) {
      if (!required) return undefined;
      throw new Fault('FILE_NOT_FOUND', `config file ${file} does not exist`, { cause: error });
    }
    throw new Fault('INVALID_ARGUMENT', `config file ${file} cannot be read`, { cause: error });
  }
}

function isNotFound(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

function parseConfig(text: string, file: string): Settings {
  const config = parseObject(text, file);
  const settings: Record<string, string> = {};
  for (const [field, value] of Object.entries(config)) {
    if (!Object.hasOwn(fieldOfSetting, field)) {
      throw new Fault('INVALID_ARGUMENT', `config file ${file} has an unknown field ${field}`, {
        hint: `known fields: ${Object.keys(fieldOfSetting).join(', ')}`,
      });
    }
    // `field` is one of the table's, as just checked.
    settings[fieldOfSetting[field as keyof typeof fieldOfSetting]] = textOf(field, value, file);
  }
  return settings;
}

function parseObject(text: string, file: string): object {
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch (error) {
    throw new Fault('INVALID_ARGUMENT', `config file ${file} is not JSON`, { cause: error });
  }
  if (typeof config !== 'object' || config === null || Array.isArray(config)) {
    throw new Fault('INVALID_ARGUMENT', `config file ${file} does not hold a JSON object`);
  }
  return config;
}

function textOf(field: string, value: unknown, file: string): string {
  if (typeof value !== 'string' || value === '') {
    throw new Fault('INVALID_ARGUMENT', `config file ${file}: ${field} must be a text`);
  }
  if (field === 'fuse_driver' && !isFuseDriver(value)) {
    throw new Fault('INVALID_ARGUMENT', `config file ${file}: fuse_driver is not known: ${value}`, {
      hint: `one of ${fuseDrivers.join(', ')}`,
    });
  }
  if (field === 'nbd_listen') parseListenAddress(value);
  else if (field !== 'fuse_driver' && !path.isAbsolute(value)) {
    throw new Fault('INVALID_ARGUMENT', `config file ${file}: ${field} must be an absolute path`);
  }
  return value;
}
