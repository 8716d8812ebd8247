/** One plausible view of each kind, and which of them answers which call. */
import type { CheckView } from '../../dist/api/check-types.js';
import type {
  AuditView,
  DeleteView,
  DiskView,
  ImpactView,
  KeyChangeView,
  KeyView,
  StatusView,
} from '../../dist/api/types.js';
import type { FakeReply, FakeRequest } from './fake-api.js';

export const keyView: KeyView = {
  id: '0b5b7a52-0c7e-4d6e-9a52-6f2b6f0f9d11',
  name: 'app-db',
  description: 'the database of the shop',
  state: 'enabled',
  key_state: '2',
  default: false,
  origin: 'kms',
  spec: 'AES_256',
  version: 1,
  created_at: '2026-11-25T01:02:03.000Z',
};

export const volumeView: DiskView = {
  id: '7a8d4b1e-19b7-4f0e-8a39-5b8bb2f1c0aa',
  name: 'db',
  kind: 'volume',
  state: 'in-use',
  size: 10 * 2 ** 30,
  used: 1536 * 2 ** 20,
  shared: 0,
  layers: 1,
  key_id: keyView.id,
  key_name: keyView.name,
  key_state: 'enabled',
  created_at: '2026-11-25T01:02:04.000Z',
  on_key_loss: 'deny',
  attachment: {
    transport: 'fuse',
    path: '/run/keyvol/disks/volumes/db',
    read_only: false,
    cache: 'direct',
    gate: 'open',
    poisoned: false,
  },
  health: { state: 'ok' },
};

export const snapshotView: DiskView = {
  ...withoutAttachment(volumeView),
  id: '4cf0e0d5-5bd8-4f0b-a6fb-0d40d37f3a11',
  name: 'monday',
  kind: 'snapshot',
  state: 'active',
  volume: 'db',
};

export const imageView: DiskView = {
  ...withoutAttachment(volumeView),
  id: 'c1f2bb9b-3a0f-4a06-8f3c-7a1d7c5d1e22',
  name: 'debian',
  kind: 'image',
  state: 'active',
  source: 'volume:db',
};

export const keyChangeView: KeyChangeView = {
  key: keyView,
  changed: true,
  disks: [{ disk: 'db', kind: 'volume', outcome: 'closed', took_ms: 11.6 }],
  took_ms: 12.2,
};

export const impactView: ImpactView = {
  key: keyView,
  disks: [
    { name: 'db', kind: 'volume', state: 'in-use', attached: true, mounted_at: '/mnt/db' },
    { name: 'debian', kind: 'image', state: 'active', attached: false },
  ],
};

export const deleteView: DeleteView = { name: 'db', kept_layers: 0, needed_by: [] };

export const auditView: AuditView = {
  sequence: 17,
  time: '2026-11-25T01:02:05.000Z',
  principal: 'uid:0',
  action: 'key.disable',
  resource: 'key:app-db',
  result: 'allowed',
  detail: '',
};

export const statusView: StatusView = {
  version: '0.1.0',
  pid: 4242,
  state_dir: '/var/lib/keyvol',
  runtime_dir: '/run/keyvol',
  started_at: '2026-11-25T01:00:00.000Z',
  fuse_driver: 'native',
  nbd: ['nbd+unix://?socket=/run/keyvol/nbd.sock'],
  xts_kernel: 'openssl',
  secret_memory: 'memfd_secret',
  keys: 2,
  volumes: 1,
  images: 1,
  snapshots: 1,
  attached: 1,
  mounted: 0,
  unwell: [],
  recovery: ['reattached volume db'],
};

export const exportView = { file: '/root/db.raw', size: 10 * 2 ** 30, data: 4096 };
export const exportedKeyView = { file: '/root/db.key', container: '/var/lib/keyvol/layers/x.luks' };

export const checkView: CheckView = {
  name: 'db',
  kind: 'volume',
  clean: true,
  layers: [
    {
      id: '9d1f6a6e-51b2-4a1e-9d9a-3b2f6a1c7e01',
      container: '/var/lib/keyvol/layers/9d1f6a6e-51b2-4a1e-9d9a-3b2f6a1c7e01.luks',
      size: 10 * 2 ** 30,
      visible: 10 * 2 ** 30,
      key: 'right',
      findings: 0,
    },
  ],
  findings: [],
  remarks: [],
};

const diskViews = { volumes: volumeView, snapshots: snapshotView, images: imageView } as const;
const keyChanges = ['enable', 'disable', 'schedule-deletion', 'cancel-deletion'];

/** What a daemon that holds the views above would answer. */
export function exampleReply({ method, path }: FakeRequest): FakeReply {
  const [noun = '', ...rest] = path.split('?')[0]?.slice(1).split('/') ?? [];
  const last = rest.at(-1) ?? '';
  if (noun === 'status') return { body: statusView };
  if (noun === 'shutdown') return {};
  if (noun === 'audit') return { body: [auditView] };
  if (noun === 'keys') return { body: keyReply(method, last) };
  if (noun in diskViews) {
    // `in` has just proved it.
    const view = diskViews[noun as keyof typeof diskViews];
    return { body: diskReply(view, method, last) };
  }
  return { status: 404, body: { error: { code: 'ROUTE_NOT_FOUND', message: `no ${path}` } } };
}

function keyReply(method: string, last: string): unknown {
  if (method === 'GET' && last === '') return [keyView];
  if (last === 'impact') return impactView;
  return keyChanges.includes(last) ? keyChangeView : keyView;
}

function diskReply(view: DiskView, method: string, last: string): unknown {
  if (method === 'DELETE') return { ...deleteView, name: view.name };
  if (last === 'copy') return { created: view, remarks: [] };
  if (last === 'export') return exportView;
  if (last === 'check') return checkView;
  if (last === 'export-key') return exportedKeyView;
  if (last !== '') return view;
  if (method === 'GET') return [view];
  return view.kind === 'snapshot' ? view : { created: view, remarks: [] };
}

function withoutAttachment(view: DiskView): DiskView {
  const { attachment: _, ...rest } = view;
  return rest;
}
