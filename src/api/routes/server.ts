/** The HTTP server of the API: checks requests against their schemas and hands them to the routes. */
import type { Socket } from 'node:net';
import {
  fastify,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type RouteHandlerMethod,
} from 'fastify';
import { Fault, mappingOf } from '../../fault.js';
import type { Caller } from '../../kms/key-service.js';
import type { Log } from '../../log.js';
import { apiPrefix } from '../paths.js';
import { daemonRoutes } from './daemon.js';
import { bodyLimitBytes, errorView, faultOf } from './errors.js';
import { imageRoutes } from './images.js';
import { keyRoutes } from './keys.js';
import { RunningCalls, sendStream, wantsStream } from './long-call.js';
import { RunningRequests } from './running-requests.js';
import { openApiDocument } from './openapi.js';
import { addProbes } from './probes.js';
import type { Route, RouteRequest, Services } from './route.js';
import { snapshotRoutes } from './snapshots.js';
import { volumeRoutes } from './volumes.js';

/** Every route there is, but the document that describes them. */
export const routes: readonly Route[] = [
  ...daemonRoutes,
  ...keyRoutes,
  ...volumeRoutes,
  ...snapshotRoutes,
  ...imageRoutes,
];

export interface ApiServer {
  /** Listens on a Unix socket, which must not exist yet. */
  listen(socketPath: string): Promise<void>;
  /** Takes no more requests, aborts long calls and waits for all to end. */
  close(): Promise<void>;
}

// A key's name has up to 255 characters, and each may be written as three.
const longestPathPart = 4096;

/** Until identities exist, whoever can open the socket is its owner. */
export function createServer(services: Services, caller: Caller, log: Log): ApiServer {
  const app = createApp(log);
  const calls = new RunningCalls();
  const requests = new RunningRequests();
  app.addHook('preHandler', (_request, reply, done) => {
    requests.add(reply.raw);
    done();
  });
  app.addHook('onResponse', (request, reply, done) => {
    logChange(request, reply, caller, log);
    done();
  });
  for (const route of routes) {
    app.route({
      method: route.method,
      url: apiPrefix + route.path,
      schema: schemasOf(route),
      handler: handlerOf(route, { services, caller, calls, log }),
    });
  }
  const document = openApiDocument(routes, services.daemon.facts().version);
  app.get(`${apiPrefix}/openapi.json`, () => document);
  addProbes(app, services);
  return {
    listen: async (socketPath) => {
      await app.listen({ path: socketPath });
    },
    close: async () => {
      calls.abortAll();
      const closed = app.close();
      await requests.none();
      // What is left are connections on which nobody has asked for anything yet.
      app.server.closeAllConnections();
      await closed;
    },
  };
}

function createApp(log: Log): FastifyInstance {
  const sendError = (error: unknown, request: FastifyRequest, reply: FastifyReply) => {
    const fault = faultOf(error, nameOf(request), log);
    void reply.code(mappingOf(fault.code).httpStatus).send(errorView(fault));
  };
  const app = fastify({
    bodyLimit: bodyLimitBytes,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: longestPathPart },
    // What does not fit is refused: fastify's own way is to change it until it fits.
    ajv: {
      customOptions: {
        removeAdditional: false,
        coerceTypes: false,
        useDefaults: false,
        verbose: true,
      },
    },
    frameworkErrors: sendError,
    clientErrorHandler: refuseConnection,
  });
  app.removeContentTypeParser('text/plain');
  app.setErrorHandler(sendError);
  app.setNotFoundHandler((request, reply) => {
    sendError(new Fault('ROUTE_NOT_FOUND', `no route ${nameOf(request)}`), request, reply);
  });
  // A call that takes nothing may come without a body.
  app.addHook('preValidation', (request, _reply, done) => {
    if (request.method === 'POST') request.body ??= {};
    done();
  });
  return app;
}

function schemasOf(route: Route): object {
  return {
    params: route.params,
    querystring: route.query,
    ...(route.body === undefined ? {} : { body: route.body }),
    ...(route.reply === undefined ? {} : { response: { 200: route.reply } }),
  };
}

interface Surroundings {
  readonly services: Services;
  readonly caller: Caller;
  readonly calls: RunningCalls;
  readonly log: Log;
}

function handlerOf(route: Route, surroundings: Surroundings): RouteHandlerMethod {
  const { services, calls, log } = surroundings;
  return async (request, reply) => {
    const checked = checkedRequest(request, surroundings.caller);
    if (!route.long) return (await route.run(services, checked)) ?? reply.code(200).send();
    return calls.run(reply, async (signal) => {
      const work = (call: RouteRequest<unknown, unknown, unknown>['call']) =>
        Promise.resolve(route.run(services, { ...checked, call }));
      if (!wantsStream(request)) return work({ signal });
      await sendStream(
        reply,
        (onProgress) => work({ signal, onProgress }),
        (error) => faultOf(error, nameOf(request), log),
      );
      return reply;
    });
  };
}

function checkedRequest(
  request: FastifyRequest,
  caller: Caller,
): RouteRequest<unknown, unknown, unknown> {
  return {
    params: request.params,
    query: request.query,
    body: request.body,
    caller,
    call: {},
  };
}

/** Names the request by its path; a query could hold anything. */
function nameOf(request: FastifyRequest): string {
  return `${request.method} ${request.url.split('?', 1).join('')}`;
}

/** What changed something is logged; what only asked would fill the log, and the audit has what was refused. */
function logChange(
  request: FastifyRequest,
  reply: FastifyReply,
  { principal }: Caller,
  log: Log,
): void {
  const { statusCode: status, elapsedTime } = reply;
  if (request.method === 'GET' || status >= 400) return;
  log.info({ principal, status, tookMs: Math.round(elapsedTime) }, nameOf(request));
}

function refuseConnection(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return;
  const fault = new Fault('INVALID_ARGUMENT', 'the request is not well-formed HTTP');
  const body = JSON.stringify(errorView(fault));
  socket.end(
    'HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close\r\n' +
      `Content-Length: ${String(Buffer.byteLength(body))}\r\n\r\n${body}`,
  );
}
