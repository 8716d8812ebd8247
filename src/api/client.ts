/** The client of the daemon's API over its Unix socket, as small commands need it: cheap to load. */
import { callDaemon, callDaemonLong, type Call, type LongCall } from './http-call.js';
import type { CheckRequest, CheckView } from './check-types.js';
import { apiPath, apiPrefix } from './paths.js';
import type {
  AttachOptions,
  AuditView,
  Created,
  DaemonClient,
  DeleteView,
  DiskExport,
  DiskView,
  ExportView,
  ImageCopy,
  ImageCreate,
  ImpactView,
  KeyChangeView,
  KeyLossRequest,
  KeyView,
  OnKeyLoss,
  Progress,
  StatusView,
  VolumeCreate,
  VolumeResize,
} from './types.js';

/** A client of the daemon that listens on `socketPath`. Connects anew for each call. */
export function createClient(socketPath: string): DaemonClient {
  return new HttpClient(socketPath);
}

type OnProgress = (progress: Progress) => void;

class HttpClient implements DaemonClient {
  readonly #socketPath: string;

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  status = () => this.#get<StatusView>(apiPath('status'));
  shutdown = (options: { keep_mounts?: boolean } = {}) =>
    this.#post<undefined>(apiPath('shutdown'), options);

  createKey = (key: { name: string; description?: string; origin?: 'kms' | 'external' }) =>
    this.#post<KeyView>(apiPath('keys'), key);
  listKeys = () => this.#get<KeyView[]>(apiPath('keys'));
  showKey = (key: string) => this.#get<KeyView>(apiPath('keys', key));
  enableKey = (key: string) => this.#post<KeyChangeView>(apiPath('keys', key, 'enable'));
  disableKey = (key: string, loss: KeyLossRequest = {}) =>
    this.#post<KeyChangeView>(apiPath('keys', key, 'disable'), loss);
  scheduleKeyDeletion = (key: string, days: number, confirm?: string, loss: KeyLossRequest = {}) =>
    this.#post<KeyChangeView>(apiPath('keys', key, 'schedule-deletion'), {
      days,
      confirm,
      ...loss,
    });
  cancelKeyDeletion = (key: string) =>
    this.#post<KeyChangeView>(apiPath('keys', key, 'cancel-deletion'));
  renameKey = (key: string, name: string) =>
    this.#post<KeyView>(apiPath('keys', key, 'rename'), { name });
  describeKey = (key: string, description: string) =>
    this.#post<KeyView>(apiPath('keys', key, 'describe'), { description });
  keyImpact = (key: string) => this.#get<ImpactView>(apiPath('keys', key, 'impact'));

  createVolume = (volume: VolumeCreate, onProgress?: OnProgress, signal?: AbortSignal) =>
    this.#postLong<Created<DiskView>>(apiPath('volumes'), volume, onProgress, signal);
  cloneVolume = (volume: string, name: string) =>
    this.#post<DiskView>(apiPath('volumes', volume, 'clone'), { name });
  listVolumes = () => this.#get<DiskView[]>(apiPath('volumes'));
  showVolume = (volume: string) => this.#get<DiskView>(apiPath('volumes', volume));
  renameVolume = (volume: string, name: string) =>
    this.#post<DiskView>(apiPath('volumes', volume, 'rename'), { name });
  setVolume = (volume: string, settings: { on_key_loss: OnKeyLoss }) =>
    this.#post<DiskView>(apiPath('volumes', volume, 'set'), settings);
  attachVolume = (volume: string, options: AttachOptions & { read_only?: boolean }) =>
    this.#post<DiskView>(apiPath('volumes', volume, 'attach'), options);
  detachVolume = (volume: string, options: { force?: boolean }) =>
    this.#post<DiskView>(apiPath('volumes', volume, 'detach'), options);
  mountVolume = (
    volume: string,
    options: { directory: string; mkfs?: string; read_only?: boolean },
  ) => this.#post<DiskView>(apiPath('volumes', volume, 'mount'), options);
  unmountVolume = (volume: string) => this.#post<DiskView>(apiPath('volumes', volume, 'unmount'));
  deleteVolume = (volume: string) => this.#delete<DeleteView>(apiPath('volumes', volume));
  resizeVolume = (volume: string, resize: VolumeResize) =>
    this.#post<DiskView>(apiPath('volumes', volume, 'resize'), resize);
  exportVolume = (
    volume: string,
    target: DiskExport,
    onProgress?: OnProgress,
    signal?: AbortSignal,
  ) => this.#postLong<ExportView>(apiPath('volumes', volume, 'export'), target, onProgress, signal);
  checkVolume = (
    volume: string,
    request: CheckRequest,
    onProgress?: OnProgress,
    signal?: AbortSignal,
  ) => this.#postLong<CheckView>(apiPath('volumes', volume, 'check'), request, onProgress, signal);
  exportVolumeKey = (
    volume: string,
    options: { file: string },
    onProgress?: OnProgress,
    signal?: AbortSignal,
  ) =>
    this.#postLong<{ file: string; container: string }>(
      apiPath('volumes', volume, 'export-key'),
      options,
      onProgress,
      signal,
    );

  createSnapshot = (snapshot: string) => this.#post<DiskView>(apiPath('snapshots'), { snapshot });
  listSnapshots = (volume?: string) =>
    this.#get<DiskView[]>(`${apiPath('snapshots')}${queryOf({ volume })}`);
  showSnapshot = (snapshot: string) => this.#get<DiskView>(apiPath('snapshots', snapshot));
  rollbackSnapshot = (snapshot: string) =>
    this.#post<DiskView>(apiPath('snapshots', snapshot, 'rollback'));
  deleteSnapshot = (snapshot: string) => this.#delete<DeleteView>(apiPath('snapshots', snapshot));

  createImage = (image: ImageCreate, onProgress?: OnProgress, signal?: AbortSignal) =>
    this.#postLong<Created<DiskView>>(apiPath('images'), image, onProgress, signal);
  listImages = () => this.#get<DiskView[]>(apiPath('images'));
  showImage = (image: string) => this.#get<DiskView>(apiPath('images', image));
  renameImage = (image: string, name: string) =>
    this.#post<DiskView>(apiPath('images', image, 'rename'), { name });
  attachImage = (image: string, options: AttachOptions = {}) =>
    this.#post<DiskView>(apiPath('images', image, 'attach'), options);
  detachImage = (image: string, options: { force?: boolean }) =>
    this.#post<DiskView>(apiPath('images', image, 'detach'), options);
  mountImage = (image: string, options: { directory: string }) =>
    this.#post<DiskView>(apiPath('images', image, 'mount'), options);
  unmountImage = (image: string) => this.#post<DiskView>(apiPath('images', image, 'unmount'));
  copyImage = (image: string, copy: ImageCopy, onProgress?: OnProgress, signal?: AbortSignal) =>
    this.#postLong<Created<DiskView>>(apiPath('images', image, 'copy'), copy, onProgress, signal);
  exportImage = (
    image: string,
    target: DiskExport,
    onProgress?: OnProgress,
    signal?: AbortSignal,
  ) => this.#postLong<ExportView>(apiPath('images', image, 'export'), target, onProgress, signal);
  checkImage = (
    image: string,
    request: CheckRequest,
    onProgress?: OnProgress,
    signal?: AbortSignal,
  ) => this.#postLong<CheckView>(apiPath('images', image, 'check'), request, onProgress, signal);
  deleteImage = (image: string) => this.#delete<DeleteView>(apiPath('images', image));

  listAudit = (options: { limit?: number; since_sequence?: number }) =>
    this.#get<AuditView[]>(`${apiPrefix}/audit${queryOf(options)}`);

  #get<View>(path: string): Promise<View> {
    return this.#call<View>({ method: 'GET', path });
  }

  #post<View>(path: string, body: object = {}): Promise<View> {
    return this.#call<View>({ method: 'POST', path, body });
  }

  #delete<View>(path: string): Promise<View> {
    return this.#call<View>({ method: 'DELETE', path });
  }

  async #call<View>(call: Call): Promise<View> {
    // The daemon's reply schemas are the views of types.ts, and a test holds them together.
    return (await callDaemon(this.#socketPath, call)) as View;
  }

  async #postLong<View>(
    path: string,
    body: object,
    onProgress?: OnProgress,
    signal?: AbortSignal,
  ): Promise<View> {
    const call: LongCall = { method: 'POST', path, body, onProgress, signal };
    // As in #call.
    return (await callDaemonLong(this.#socketPath, call)) as View;
  }
}

function queryOf(fields: Record<string, string | number | undefined>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined) query.set(name, String(value));
  }
  return query.size === 0 ? '' : `?${query.toString()}`;
}
