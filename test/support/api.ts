// The API's server over services that a test makes up, and raw requests to it.
import http from 'node:http';
import { join } from 'node:path';
import { createClient } from '../../dist/api/client.js';
import type { Services } from '../../dist/api/routes/route.js';
import { createServer } from '../../dist/api/routes/server.js';
import type { DaemonClient } from '../../dist/api/types.js';
import type { DiskRecord } from '../../dist/disk/records.js';
import type { MasterKey } from '../../dist/kms/key-service.js';
import type { Log } from '../../dist/log.js';
import type { DiskDetails } from '../../dist/volume/volumes.js';
import { tempDirectory, type Teardown } from './temp.js';

export const appKey: MasterKey = {
  id: '0b7e1c9a-3f53-4b38-9a43-27a5a0b0c001',
  alias: 'app-db',
  description: 'the application',
  keySpec: 'AES_256',
  origin: 'kms',
  state: 'enabled',
  isDefault: false,
  version: 1,
  createdAtMs: Date.UTC(2026, 0, 2, 3, 4, 5),
};

const dbRecord: DiskRecord = {
  id: '5f1b2f4e-64a4-4d3c-8f7e-111111111111',
  kind: 'volume',
  name: 'db',
  volumeId: null,
  topLayerId: '5f1b2f4e-64a4-4d3c-8f7e-222222222222',
  keyId: appKey.id,
  sizeBytes: 1 << 20,
  state: 'available',
  stateReason: '',
  onKeyLoss: 'deny',
  source: '',
  sourceSha256: '',
  createdAtMs: Date.UTC(2026, 0, 2),
};

export function diskDetails(record: Partial<DiskRecord> = {}): DiskDetails {
  return {
    record: { ...dbRecord, ...record },
    usedBytes: 8192,
    sharedBytes: 4096,
    layerCount: 2,
    health: { state: 'ok' },
  };
}

type Work = (...args: never[]) => unknown;
/** Some functions of a service; calling one that a test did not make up fails. */
type Some = Record<string, Work | Record<string, Work>>;

export interface MadeUp {
  readonly keys?: Some;
  readonly disks?: Some;
  readonly audit?: Some;
  readonly daemon?: Some;
}

export interface RunningApi {
  readonly client: DaemonClient;
  readonly socketPath: string;
  /** What the server logged, newest last. */
  readonly logged: { readonly fields: unknown; readonly message: string }[];
  close(): Promise<void>;
}

const facts = {
  version: '0.1.0',
  pid: 4711,
  state_dir: '/state',
  runtime_dir: '/run',
  started_at: '2026-01-02T03:04:05.000Z',
  fuse_driver: 'native' as const,
  nbd: [],
  xts_kernel: 'openssl' as const,
  secret_memory: 'memfd_secret' as const,
  recovery: [],
};

/** A server over `madeUp` on a socket of its own, until the end of the test. */
export function startApi(t: Teardown, madeUp: MadeUp = {}): Promise<RunningApi> {
  return startApiOver(t, servicesOf(madeUp));
}

export async function startApiOver(t: Teardown, services: Services): Promise<RunningApi> {
  const logged: RunningApi['logged'] = [];
  const note = (fields: unknown, message: string) => logged.push({ fields, message });
  // The server logs with fields and a message, as pino takes them, and nothing else.
  const log = { info: note, warn: note, error: note, fatal: note } as unknown as Log;
  const server = createServer(services, { principal: 'uid:0' }, log);
  const socketPath = join(tempDirectory(t), 'api.sock');
  await server.listen(socketPath);
  t.teardown(() => server.close());
  return { client: createClient(socketPath), socketPath, logged, close: () => server.close() };
}

function servicesOf(madeUp: MadeUp): Services {
  const findKey = () => appKey;
  // Only what a test makes up is called; anything else fails as "not a function".
  return {
    keys: { findKey, listKeys: () => [appKey], ...madeUp.keys },
    disks: { impact: () => [], ...madeUp.disks },
    audit: { ...madeUp.audit },
    daemon: {
      facts: () => facts,
      shutdown: () => undefined,
      notAlive: () => Promise.resolve([]),
      notReady: () => Promise.resolve([]),
      ...madeUp.daemon,
    },
  } as unknown as Services;
}

export interface RawReply {
  readonly status: number;
  /** The parsed JSON, whose shape is what tests assert. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly body: any;
  readonly text: string;
}

/** A request as no careful client would send it. */
export function rawRequest(
  socketPath: string,
  method: string,
  path: string,
  body?: string,
  headers: Record<string, string> = body === undefined
    ? {}
    : { 'content-type': 'application/json' },
): Promise<RawReply> {
  return new Promise((resolve, reject) => {
    const request = http.request({ socketPath, method, path, agent: false, headers });
    request.on('error', reject);
    request.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => {
        const json = text.startsWith('{') || text.startsWith('[');
        resolve({ status: response.statusCode ?? 0, body: json ? JSON.parse(text) : {}, text });
      });
    });
    request.end(body);
  });
}
