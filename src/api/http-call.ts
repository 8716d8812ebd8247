/** One HTTP request over the daemon's Unix socket, and what its answer means. */
import http from 'node:http';
import { Fault, isFaultCode } from '../fault.js';
import { streamType } from './paths.js';
import type { ErrorView, Progress } from './types.js';

export interface Call {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly body?: object;
}

export interface LongCall extends Call {
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Aborting closes the connection, upon which the daemon stops the work and cleans up. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Answers with the reply's JSON; undefined for an empty one. Throws the Fault of an error reply, and
 * DAEMON_UNREACHABLE when no daemon answers.
 */
export async function callDaemon(socketPath: string, call: Call): Promise<unknown> {
  try {
    const response = await sendRequest(socketPath, call, 'application/json');
    return replyOf(response, await readText(response));
  } catch (error) {
    throw faultOf(error, socketPath);
  }
}

/** As callDaemon, for work that reports its progress. Throws INTERRUPTED when `signal` aborts. */
export async function callDaemonLong(socketPath: string, call: LongCall): Promise<unknown> {
  try {
    const response = await sendRequest(socketPath, call, streamType, call.signal);
    if (!isStream(response)) return replyOf(response, await readText(response));
    return await lastLineOf(response, call.onProgress);
  } catch (error) {
    if (call.signal?.aborted) throw new Fault('INTERRUPTED', 'interrupted', { cause: error });
    throw faultOf(error, socketPath);
  }
}

function sendRequest(
  socketPath: string,
  call: Call,
  accept: string,
  signal?: AbortSignal,
): Promise<http.IncomingMessage> {
  const body = call.body === undefined ? undefined : JSON.stringify(call.body);
  return new Promise((resolve, reject) => {
    const request = http.request({
      socketPath,
      method: call.method,
      path: call.path,
      // One connection a call: a kept-alive one would keep a finished command waiting.
      agent: false,
      headers: {
        accept,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(signal === undefined ? {} : { signal }),
    });
    request.on('response', resolve);
    request.on('error', reject);
    request.end(body);
  });
}

function isStream(response: http.IncomingMessage): boolean {
  return (response.headers['content-type'] ?? '').startsWith(streamType);
}

async function readText(response: http.IncomingMessage): Promise<string> {
  response.setEncoding('utf8');
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return text;
}

function replyOf(response: http.IncomingMessage, text: string): unknown {
  const reply = text === '' ? undefined : parseJson(text);
  if ((response.statusCode ?? 500) >= 400) throw faultOfReply(reply);
  return reply;
}

async function lastLineOf(
  response: http.IncomingMessage,
  onProgress: LongCall['onProgress'],
): Promise<unknown> {
  for await (const line of linesOf(response)) {
    const message = parseJson(line);
    if (!isObject(message)) continue;
    if ('error' in message) throw faultOfReply(message);
    if ('result' in message) return message.result;
    if (isProgress(message.progress)) onProgress?.(message.progress);
  }
  throw new Fault('DAEMON_UNREACHABLE', 'the daemon ended before it answered');
}

async function* linesOf(response: http.IncomingMessage): AsyncGenerator<string> {
  response.setEncoding('utf8');
  let rest = '';
  for await (const chunk of response) {
    const lines = (rest + String(chunk)).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Fault('INTERNAL', 'the answer of the daemon is not JSON', { cause: error });
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function isProgress(value: unknown): value is Progress {
  return isObject(value) && typeof value.done === 'number' && typeof value.total === 'number';
}

function isErrorView(value: unknown): value is ErrorView {
  if (!isObject(value) || !isObject(value.error)) return false;
  return typeof value.error.code === 'string' && typeof value.error.message === 'string';
}

function faultOfReply(reply: unknown): Fault {
  if (!isErrorView(reply)) return new Fault('INTERNAL', 'the daemon answered an unknown error');
  const { code, message, hint } = reply.error;
  if (!isFaultCode(code)) return new Fault('INTERNAL', `${message} (${code})`);
  return new Fault(code, message, hint === undefined ? {} : { hint });
}

const unreachableReasons: Record<string, string> = {
  ENOENT: 'no daemon listens on',
  ECONNREFUSED: 'no daemon listens on',
  EACCES: 'not permitted to use',
  ENOTDIR: 'no socket is at',
  ECONNRESET: 'the daemon ended during the call on',
  EPIPE: 'the daemon ended during the call on',
};

function faultOf(error: unknown, socketPath: string): unknown {
  if (!(error instanceof Error) || error instanceof Fault) return error;
  const code = 'code' in error ? String(error.code) : error.message;
  const reason = unreachableReasons[code] ?? `${code} on`;
  return new Fault('DAEMON_UNREACHABLE', `${reason} ${socketPath}`, {
    cause: error,
    hint:
      code === 'EACCES' ? 'only the user who runs the daemon may use it' : 'keyvol daemon start',
  });
}
