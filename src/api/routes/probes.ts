/**
 * What monitoring asks, outside the API's prefix: `/metrics` for Prometheus, `/livez` and `/readyz`
 * for supervisors.
 */
import type { FastifyInstance, FastifyReply } from 'fastify';
import { expositionType } from './exposition.js';
import { metricsText } from './metrics.js';
import type { Services } from './route.js';

export function addProbes(app: FastifyInstance, services: Services): void {
  const { daemon } = services;
  app.get('/metrics', (_request, reply) => reply.type(expositionType).send(metricsText(services)));
  app.get('/livez', async (_request, reply) => verdict(reply, await daemon.notAlive()));
  app.get('/readyz', async (_request, reply) => verdict(reply, await daemon.notReady()));
}

/** 200 "ok", or 503 with one reason a line. */
function verdict(reply: FastifyReply, reasons: readonly string[]): FastifyReply {
  const text = reasons.length === 0 ? 'ok\n' : reasons.map((reason) => `${reason}\n`).join('');
  return reply
    .code(reasons.length === 0 ? 200 : 503)
    .type('text/plain; charset=utf-8')
    .send(text);
}
