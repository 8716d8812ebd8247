/** The daemon's settings, from flags, environment and config file. */
import { parseArgs } from 'node:util';
import {
  fuseDrivers,
  isFuseDriver,
  readConfigFile,
  resolveDirectories,
  type Directories,
  type FuseDriver,
} from '../api/directories.js';
import { Fault } from '../fault.js';
import { nbdOverTls, type NbdOverTls } from './nbd.js';

export interface DaemonConfig extends Directories {
  /** Undefined when none was asked for: then a host without FUSE is only warned of. */
  readonly fuseDriver: FuseDriver | undefined;
  /** How long mounts are kept for a next daemon when this one dies. */
  readonly holderTimeoutSeconds: number;
  /** Undefined: NBD for this host only. */
  readonly nbdTls: NbdOverTls | undefined;
}

const defaultHolderTimeoutSeconds = 600;

export const usage = `Usage: keyvold [options]

The keyvol daemon. It runs in the foreground, logs to standard error, and says
"keyvold ready: SOCKET" on standard output once it answers.

Options:
  --state-dir DIR      where keys, records and containers live
                       (KEYVOL_STATE_DIR; /var/lib/keyvol or $XDG_STATE_HOME/keyvol)
  --runtime-dir DIR    where the socket and the mount live
                       (KEYVOL_RUNTIME_DIR; /run/keyvol or $XDG_RUNTIME_DIR/keyvol)
  --fuse-driver NAME   native (default), portable or none
  --holder-timeout T   how long disks and mounts outlive a daemon that was killed, and
                       wait for the next one: 90s, 10m (default), 2h
  --nbd-listen A:PORT  serve attached disks over NBD to other hosts, too, by TLS only:
                       192.0.2.1:10809, [::]:10809
  --nbd-tls DIR        for that: server-cert.pem, server-key.pem and ca-cert.pem, whose
                       clients are let in, or keys.psk with lines NAME:HEXKEY, or both
  --config FILE        settings as JSON (/etc/keyvol/keyvold.json if it exists)
  --version, --help

Example:
  keyvold --state-dir /srv/keyvol --runtime-dir /run/keyvol

Exit statuses: 0 stopped, 2 usage, 6 another daemon runs or a directory cannot be
used, 9 no space, 1 anything else.
`;

const options = {
  'state-dir': { type: 'string' },
  'runtime-dir': { type: 'string' },
  'fuse-driver': { type: 'string' },
  'holder-timeout': { type: 'string' },
  'nbd-listen': { type: 'string' },
  'nbd-tls': { type: 'string' },
  config: { type: 'string' },
  version: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** What the command line asks for. Throws USAGE, and as the config file's reader. */
export function parseCommandLine(args: readonly string[]): DaemonConfig | 'help' | 'version' {
  const flags = parseFlags(args);
  if (flags.help === true) return 'help';
  if (flags.version === true) return 'version';
  const file = readConfigFile(flags.config);
  const directories = resolveDirectories(
    { stateDir: flags['state-dir'], runtimeDir: flags['runtime-dir'] },
    file,
  );
  const fuseDriver = driverOf(flags['fuse-driver']) ?? file.fuseDriver;
  return {
    ...directories,
    fuseDriver,
    holderTimeoutSeconds: secondsOf(flags['holder-timeout']),
    nbdTls: nbdOverTls(flags['nbd-listen'] ?? file.nbdListen, flags['nbd-tls'] ?? file.nbdTls),
  };
}

function parseFlags(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: false }).values;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Fault('USAGE', reason.charAt(0).toLowerCase() + reason.slice(1), {
      cause: error,
      hint: 'keyvold --help',
    });
  }
}

function secondsOf(text: string | undefined): number {
  if (text === undefined) return defaultHolderTimeoutSeconds;
  const [, count, unit] = /^([1-9]\d{0,5})([smh])$/.exec(text) ?? [];
  const units: Record<string, number> = { s: 1, m: 60, h: 3600 };
  const seconds = Number(count) * (units[unit ?? ''] ?? NaN);
  if (seconds > 0) return seconds;
  throw new Fault('USAGE', `${text} is no time to wait`, { hint: 'for example 90s, 10m or 2h' });
}

function driverOf(text: string | undefined): FuseDriver | undefined {
  if (text === undefined || isFuseDriver(text)) return text;
  throw new Fault('USAGE', `unknown FUSE driver ${text}`, {
    hint: `one of ${fuseDrivers.join(', ')}`,
  });
}
