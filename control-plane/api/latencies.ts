import type { FastifyInstance, FastifyRequest } from 'fastify';
import { latencyMapSchema, latencyReportSchema } from '#core/contract/latency.ts';
import { CanopyError } from '#core/errors.ts';
import { nodeOf } from './access.ts';
import { route } from './route.ts';
import type { Services } from './services.ts';

/** Measured round trips: routers bring what clients were measured to, and take what all have brought. */
export function latencyRoutes(app: FastifyInstance, { access, latencies }: Services): void {
  const admits = access.toNode();

  route(
    app,
    {
      method: 'POST',
      path: '/v1/node/latencies',
      id: 'reportLatencies',
      summary: 'Say what round trips of clients have been measured, for routers',
      admits,
      body: latencyReportSchema,
      answers: { 204: null },
      errors: ['forbidden'],
    },
    async (request, reply) => {
      requireRouter(request);
      await latencies.add(request.body.observations);
      return reply.code(204).send();
    },
  );

  route(
    app,
    {
      method: 'GET',
      path: '/v1/node/latencies',
      id: 'getLatencies',
      summary: 'Measured round trips to go by, for routers',
      admits,
      answers: { 200: latencyMapSchema },
      errors: ['forbidden'],
    },
    async (request) => {
      requireRouter(request);
      return latencies.map();
    },
  );
}

function requireRouter(request: FastifyRequest): void {
  const { name, tier } = nodeOf(request);
  if (tier !== 'router') throw new CanopyError('forbidden', `"${name}" is no router`);
}
