/** A route: where it lives, what it takes and gives, and the one use case it turns a request into. */
import type { Static, TObject, TSchema } from '@sinclair/typebox';
import type { Disks } from '../../image/disks.js';
import type { Caller, KeyService } from '../../kms/key-service.js';
import type { LongCall } from '../../volume/volumes.js';
import { noFields } from '../schemas.js';
import type { AuditView, StatusView } from '../types.js';

/** What the daemon knows about itself, and its one verb. */
export interface DaemonControl {
  facts(): Pick<
    StatusView,
    | 'version'
    | 'pid'
    | 'state_dir'
    | 'runtime_dir'
    | 'started_at'
    | 'fuse_driver'
    | 'nbd'
    | 'xts_kernel'
    | 'secret_memory'
    | 'recovery'
  >;
  /** Begins to shut down; answers at once. With `keepMounts` disks and mounts wait for a next daemon. */
  shutdown(keepMounts: boolean): void;
  usage(): { readonly rssBytes: number; readonly cpuSeconds: number; readonly openFds: number };
  /** Why a restart would help; empty when it is alive. */
  notAlive(): Promise<string[]>;
  /** Why it should not be sent requests; empty when it is ready. */
  notReady(): Promise<string[]>;
}

export interface AuditReader {
  /** The newest `limit` records after `sinceSequence`, oldest first. */
  list(options: { limit?: number; sinceSequence?: number }): AuditView[];
  /** Of the newest record; 0 when there is none. */
  lastSequence(): number;
  /** Commits of records that are not yet durable, and how long the oldest has waited. */
  backlog(): { readonly waiting: number; readonly oldestMs: number };
}

/** Everything that routes may call. */
export interface Services {
  readonly keys: KeyService;
  readonly disks: Disks;
  readonly audit: AuditReader;
  readonly daemon: DaemonControl;
}

/** One request, checked against the route's schemas. */
export interface RouteRequest<Params, Query, Body> {
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  readonly caller: Caller;
  /** Of long routes: reports progress, and hears that the client is gone. */
  readonly call: LongCall;
}

export interface Route {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Below the API's prefix, "/keys/:key". */
  readonly path: string;
  readonly summary: string;
  /** A long call can answer as a stream of progress lines. */
  readonly long: boolean;
  readonly params: TObject;
  readonly query: TObject;
  readonly body: TObject | undefined;
  /** Absent where the reply is empty. */
  readonly reply: TSchema | undefined;
  run(services: Services, request: RouteRequest<unknown, unknown, unknown>): unknown;
}

interface RouteDefinition<Params, Query, Body, Reply> {
  readonly summary: string;
  readonly long?: boolean;
  readonly params?: Params;
  readonly query?: Query;
  readonly body?: Body;
  readonly reply?: Reply;
}

type Empty = typeof noFields;
type Answer<Reply> = Reply extends TSchema ? Static<Reply> : undefined;

/**
 * Declares a route, "POST /keys/:key/enable". `run` gets what the schemas describe and must answer
 * what the reply's schema describes.
 */
export function route<
  Params extends TObject = Empty,
  Query extends TObject = Empty,
  Body extends TObject = Empty,
  Reply extends TSchema | undefined = undefined,
>(
  where: `${Route['method']} /${string}`,
  definition: RouteDefinition<Params, Query, Body, Reply>,
  run: (
    services: Services,
    request: RouteRequest<Static<Params>, Static<Query>, Static<Body>>,
  ) => Promise<Answer<Reply>> | Answer<Reply>,
): Route {
  const space = where.indexOf(' ');
  // The template type of `where` says that a method comes before its first space.
  const method = where.slice(0, space) as Route['method'];
  return {
    method,
    path: where.slice(space + 1),
    summary: definition.summary,
    long: definition.long ?? false,
    params: definition.params ?? noFields,
    query: definition.query ?? noFields,
    body: method === 'POST' ? (definition.body ?? noFields) : undefined,
    reply: definition.reply,
    // The server hands over only requests that these very schemas have accepted.
    run,
  };
}
