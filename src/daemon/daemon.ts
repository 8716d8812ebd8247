/** Opens every part of the daemon in order, and closes them in the opposite one. */
import { chmodSync } from 'node:fs';
import path from 'node:path';
import type { AuditView } from '../api/types.js';
import type { AuditReader, DaemonControl } from '../api/routes/route.js';
import type { createServer } from '../api/routes/server.js';
import { lastAuditSequence, listAudit, type AuditEntry } from '../audit/audit.js';
import { systemClock, type Clock } from '../clock.js';
import { addon, type NbdServer, type XtsKernel } from '../device/index.js';
import { diskMigrations } from '../disk/migrations.js';
import { openDisks, type Disks } from '../image/disks.js';
import type { KeyService } from '../kms/key-service.js';
import { openKeyService } from '../kms/keys.js';
import { keysDatabaseLogs, keysDatabaseMigrations } from '../kms/migrations.js';
import type { Log } from '../log.js';
import { openStore } from '../store/open.js';
import type { Store } from '../store/store.js';
import { ClosingSteps, type Ending } from './closing.js';
import type { DaemonConfig } from './config.js';
import { openFuse, type OpenedFuse } from './fuse.js';
import { HealthLog } from './health-log.js';
import { lockDirectory } from './lock.js';
import { openNbd } from './nbd.js';
import { refuseOwnVolume } from './own-volume.js';
import { raiseReadAhead } from './read-ahead.js';
import { removeStaleSocket } from './socket.js';
import { makePrivateDirectory, markStateDir, prepareStateDir } from './state-dir.js';
import { usage, VitalSigns } from './vital-signs.js';

export interface DaemonSurroundings {
  readonly log: Log;
  readonly version: string;
  /** For the person who starts the daemon; it is logged, too. */
  readonly warn: (text: string) => void;
  /** Called when a client asks the daemon to end. */
  readonly onShutdownRequest: (ending: Ending) => void;
}

export interface RunningDaemon {
  readonly socketPath: string;
  /** Why a restart would help; empty when it is alive. */
  notAlive(): Promise<readonly string[]>;
  /**
   * Unmounts, detaches and closes everything; or, to hand over, stops answering and leaves disks and
   * mounts as they are. The process must exit then. Safe to repeat.
   */
  end(ending: Ending): Promise<void>;
}

const tickMs = 30_000;
const healthEveryMs = 1000;

/**
 * Starts a daemon that answers when the promise resolves. Throws a Fault that says why it cannot
 * start; whatever was open is closed again then.
 */
export async function startDaemon(
  config: DaemonConfig,
  surroundings: DaemonSurroundings,
): Promise<RunningDaemon> {
  const closing = new ClosingSteps(surroundings.log);
  const signs = new VitalSigns();
  try {
    await openAll(config, surroundings, closing, signs);
  } catch (error) {
    await closing.run('close');
    throw error;
  }
  return {
    socketPath: config.socketPath,
    notAlive: () => signs.notAlive(),
    end: (ending) => {
      signs.stop();
      return closing.run(ending);
    },
  };
}

async function openAll(
  config: DaemonConfig,
  surroundings: DaemonSurroundings,
  closing: ClosingSteps,
  signs: VitalSigns,
): Promise<void> {
  const { log, warn } = surroundings;
  const startedAt = new Date();
  const clock = systemClock(() => addon.bootTimeMs());
  // Before anything is touched, for KEYVOL_XTS may ask for what there is not.
  const kernels = addon.xtsKernels();
  for (const name of kernels.failed) {
    warn(`${name} does not encrypt as OpenSSL does on this processor, and is not used`);
  }
  await takeDirectories(config);
  const { keys, keyStore } = await openKeys(config, clock, closing, warn);
  const { fuseDriver: driver, runtimeDir, holderTimeoutSeconds } = config;
  const fuse = await openFuse({ driver, runtimeDir, holderTimeoutSeconds, addon });
  if (fuse.warning !== undefined) warn(fuse.warning);
  const { session } = fuse;
  if (session !== undefined) await raiseReadAhead(session.mountPoint);
  if (session !== undefined)
    closing.add(
      'fuse',
      () => session.unmount(),
      () => session.park(),
    );
  const { server: nbd, uris: nbdUris } = openNbd(addon, runtimeDir, config.nbdTls);
  closing.add(
    'nbd',
    () => nbd.end(),
    () => nbd.end(),
  );
  const disks = await openDiskParts(
    { config, keys, keyStore, fuse, nbd, clock, log, signs },
    closing,
  );
  signs.watch('key records', keyStore);
  const recovery = [...fuse.recovery, ...(await disks.restore())];
  // What was exported is there again.
  nbd.serve();
  for (const line of recovery) log.info(line);
  startTicking(keys, log, closing);
  startHealthLog(disks, fuse, log, closing);
  await serve(config, surroundings, closing, {
    keys,
    disks,
    audit: auditReader(keyStore),
    daemon: controlOf(config, surroundings, {
      startedAt,
      fuse,
      nbdUris,
      recovery,
      signs,
      xtsKernel: kernels.chosen,
    }),
  });
}

/** From here on nobody else works in these directories. */
async function takeDirectories({ stateDir, runtimeDir }: DaemonConfig): Promise<void> {
  await refuseOwnVolume(stateDir);
  prepareStateDir(stateDir);
  const disksDir = path.join(runtimeDir, 'disks');
  await lockDirectory({ directory: stateDir, what: 'state directory', disksDir, addon });
  markStateDir(stateDir);
  makePrivateDirectory(runtimeDir, 'runtime directory');
  await lockDirectory({ directory: runtimeDir, what: 'runtime directory', disksDir, addon });
}

async function openKeys(
  { stateDir }: DaemonConfig,
  clock: Clock,
  closing: ClosingSteps,
  warn: (text: string) => void,
): Promise<{ keys: KeyService; keyStore: Store }> {
  const keyStore = await openStore({
    path: path.join(stateDir, 'keys.db'),
    migrations: keysDatabaseMigrations,
    logs: keysDatabaseLogs,
  });
  closing.add('key records', () => keyStore.close());
  const rootKeyPath = path.join(stateDir, 'root.key');
  const { service, rootKeyWarning } = await openKeyService({ store: keyStore, rootKeyPath, clock });
  closing.add('keys', () => service.close());
  if (rootKeyWarning !== undefined) warn(rootKeyWarning);
  return { keys: service, keyStore };
}

interface DiskParts {
  readonly config: DaemonConfig;
  readonly keys: KeyService;
  readonly keyStore: Store;
  readonly fuse: OpenedFuse;
  readonly nbd: NbdServer;
  readonly clock: Clock;
  readonly log: Log;
  readonly signs: VitalSigns;
}

async function openDiskParts(parts: DiskParts, closing: ClosingSteps): Promise<Disks> {
  const { config, keys, keyStore, fuse, nbd, clock, log, signs } = parts;
  const { stateDir, runtimeDir } = config;
  const store = await openStore({
    path: path.join(stateDir, 'disks.db'),
    migrations: diskMigrations,
  });
  closing.add('disk records', () => store.close());
  signs.watch('disk records', store);
  const disks = openDisks({
    stateDir,
    runtimeDir,
    store,
    keys,
    audit: keyStore,
    addon,
    ...(fuse.session === undefined ? {} : { fuse: fuse.session }),
    nbd,
    host: fuse.host,
    clock,
    warn: (text) => log.warn(text),
  });
  closing.add(
    'disks',
    async () => {
      for (const line of await disks.shutdown()) log.warn(line);
    },
    leaveAsTheyAre,
  );
  return disks;
}

const leaveAsTheyAre = (): undefined => undefined;

function startTicking(keys: KeyService, log: Log, closing: ClosingSteps): void {
  const tick = () => {
    keys.tick().catch((error: unknown) => log.error({ err: error }, 'the key timer failed'));
  };
  const timer = setInterval(tick, tickMs);
  timer.unref();
  closing.add('key timer', () => clearInterval(timer));
  tick();
}

function startHealthLog(disks: Disks, fuse: OpenedFuse, log: Log, closing: ClosingSteps): void {
  const health = new HealthLog(log, () => disks.unwell());
  const keepHeld = keeperOf(fuse, log);
  let keeping = Promise.resolve();
  const look = (): void => {
    health.look();
    keeping = keeping.then(keepHeld);
  };
  const timer = setInterval(look, healthEveryMs);
  timer.unref();
  closing.add('health log', () => {
    clearInterval(timer);
    return keeping;
  });
  health.look();
}

/** Tells of a holder that cannot be started once, not every second. */
function keeperOf(fuse: OpenedFuse, log: Log): () => Promise<void> {
  let hasFailed = false;
  return async () => {
    try {
      const said = await fuse.keepHeld();
      hasFailed = false;
      if (said !== undefined) log.warn(said);
    } catch (error) {
      if (!hasFailed) log.error({ err: error }, 'nothing keeps the mount if this process dies');
      hasFailed = true;
    }
  };
}

async function serve(
  { socketPath }: DaemonConfig,
  { log }: DaemonSurroundings,
  closing: ClosingSteps,
  services: Parameters<typeof createServer>[0],
): Promise<void> {
  // Loading it takes longer than bringing back all disks, for which programs may be waiting.
  const { createServer } = await import('../api/routes/server.js');
  // Whoever can open the socket is the user who runs the daemon, or root.
  const caller = { principal: `uid:${String(process.getuid?.())}` };
  const server = createServer(services, caller, log);
  await removeStaleSocket(socketPath);
  closing.add('api', () => server.close());
  await server.listen(socketPath);
  chmodSync(socketPath, 0o600);
}

function auditReader(store: Store): AuditReader {
  return {
    list: (query) => listAudit(store, query).map(auditView),
    lastSequence: () => lastAuditSequence(store),
    backlog: () => store.backlog(),
  };
}

function auditView({ timeMs, ...entry }: AuditEntry): AuditView {
  return { ...entry, time: new Date(timeMs).toISOString() };
}

interface Findings {
  readonly startedAt: Date;
  readonly fuse: OpenedFuse;
  readonly nbdUris: readonly string[];
  readonly recovery: readonly string[];
  readonly signs: VitalSigns;
  readonly xtsKernel: XtsKernel;
}

function controlOf(
  config: DaemonConfig,
  { version, onShutdownRequest }: DaemonSurroundings,
  { startedAt, fuse, nbdUris, recovery, signs, xtsKernel }: Findings,
): DaemonControl {
  return {
    facts: () => ({
      version,
      pid: process.pid,
      state_dir: config.stateDir,
      runtime_dir: config.runtimeDir,
      started_at: startedAt.toISOString(),
      fuse_driver: fuse.driver,
      nbd: [...nbdUris],
      xts_kernel: xtsKernel,
      secret_memory: addon.secretMemoryIsHidden() ? 'memfd_secret' : 'locked',
      recovery: [...recovery],
    }),
    // Only a mount that is held outlives this process.
    shutdown: (keepMounts) =>
      onShutdownRequest(keepMounts && fuse.session?.isHeld === true ? 'handOver' : 'close'),
    usage,
    notAlive: () => signs.notAlive(),
    notReady: () => signs.notReady(),
  };
}
