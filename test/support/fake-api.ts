/** A stand-in for the daemon: an HTTP server on a Unix socket that answers as a test says. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import type { ErrorView } from '../../dist/api/types.js';
import { mappingOf, type FaultCode } from '../../dist/fault.js';
import { exampleReply } from './example-views.js';
import { tempDirectory, type Teardown } from './temp.js';

export interface FakeRequest {
  readonly method: string;
  /** Decoded, without the prefix: "/keys/evs/default/enable", with the query. */
  readonly path: string;
  readonly body: unknown;
}

/** `hang`: never answers. */
export type FakeReply = { status?: number; body?: unknown } | 'hang';

export interface FakeApi {
  readonly runtimeDir: string;
  readonly requests: FakeRequest[];
  /** Counts the calls whose client went away before it was answered. */
  readonly abandoned: () => number;
}

/** Starts the fake; `answer` decides, and what it leaves undefined is answered with an example. */
export async function fakeApi(
  t: Teardown,
  answer: (request: FakeRequest) => FakeReply | undefined | Promise<FakeReply> = () => undefined,
): Promise<FakeApi> {
  const runtimeDir = tempDirectory(t);
  const requests: FakeRequest[] = [];
  let abandoned = 0;
  const server = createServer((incoming, response) => {
    response.on('close', () => {
      if (!response.writableEnded) abandoned += 1;
    });
    void readRequest(incoming).then(async (request) => {
      requests.push(request);
      send(response, (await answer(request)) ?? exampleReply(request));
    });
  });
  await new Promise<void>((resolve) => server.listen(join(runtimeDir, 'api.sock'), resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { runtimeDir, requests, abandoned: () => abandoned };
}

/** The error reply of the real daemon for a fault. */
export function refusal(code: FaultCode, message: string, hint?: string): FakeReply {
  const { httpStatus, cloudCode } = mappingOf(code);
  const error: ErrorView['error'] = {
    code,
    message,
    ...(hint === undefined ? {} : { hint }),
    ...(cloudCode === undefined ? {} : { cloud_code: cloudCode }),
  };
  return { status: httpStatus, body: { error } };
}

async function readRequest(incoming: IncomingMessage): Promise<FakeRequest> {
  let text = '';
  for await (const chunk of incoming) text += String(chunk);
  return {
    method: incoming.method ?? '',
    path: decodeURIComponent((incoming.url ?? '').replace('/keyvol/v1', '')),
    body: text === '' ? undefined : JSON.parse(text),
  };
}

function send(response: ServerResponse, reply: FakeReply): void {
  if (reply === 'hang') return;
  response.writeHead(reply.status ?? 200, { 'content-type': 'application/json' });
  response.end(reply.body === undefined ? '' : JSON.stringify(reply.body));
}
