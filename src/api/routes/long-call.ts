/** Work that takes long: progress lines while it runs, and an end when the client is gone. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Fault } from '../../fault.js';
import type { DiskProgress, LongCall } from '../../volume/volumes.js';
import { streamType } from '../paths.js';
import { errorView } from './errors.js';

const progressEveryMs = 100;

/** The long calls that run, so that a shutdown can end them. */
export class RunningCalls {
  readonly #controllers = new Set<AbortController>();

  /** Runs `work` with a signal that aborts when the client's connection closes, or on abortAll. */
  async run<Result>(
    reply: FastifyReply,
    work: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    const controller = new AbortController();
    const abortIfCut = () => {
      if (!reply.raw.writableFinished) controller.abort();
    };
    this.#controllers.add(controller);
    reply.raw.once('close', abortIfCut);
    try {
      return await work(controller.signal);
    } finally {
      reply.raw.off('close', abortIfCut);
      this.#controllers.delete(controller);
    }
  }

  abortAll(): void {
    for (const controller of this.#controllers) controller.abort();
  }
}

export function wantsStream(request: FastifyRequest): boolean {
  return (request.headers.accept ?? '').includes(streamType);
}

/**
 * Answers with progress lines and then one result or error line. The status is 200 whatever comes:
 * it is sent before the work begins, for a client must see at once that its request was taken.
 */
export async function sendStream(
  reply: FastifyReply,
  work: (onProgress: NonNullable<LongCall['onProgress']>) => Promise<unknown>,
  toFault: (error: unknown) => Fault,
): Promise<void> {
  reply.hijack();
  reply.raw.writeHead(200, { 'content-type': streamType });
  reply.raw.flushHeaders();
  const send = (line: object) => {
    if (!reply.raw.destroyed) reply.raw.write(`${JSON.stringify(line)}\n`);
  };
  try {
    send({ result: await work(throttled(send)) });
  } catch (error) {
    send(errorView(toFault(error)));
  }
  reply.raw.end();
}

function throttled(send: (line: object) => void): (progress: DiskProgress) => void {
  let sentAtMs = 0;
  return ({ doneBytes, totalBytes }) => {
    const nowMs = performance.now();
    if (nowMs - sentAtMs < progressEveryMs && doneBytes < totalBytes) return;
    sentAtMs = nowMs;
    send({ progress: { done: doneBytes, total: totalBytes } });
  };
}
