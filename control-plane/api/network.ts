import type { FastifyInstance } from 'fastify';
import type { Services } from './services.ts';

export function networkRoutes(app: FastifyInstance, services: Services): void {
  const { access, tierKeyRotation } = services;
  const answer = () => ({ tierKeyRotation: tierKeyRotation.phase });

  app.route({
    method: 'GET',
    url: '/v1/network',
    onRequest: access.toNetwork('read'),
    handler: async () => answer(),
  });

  app.route({
    method: 'POST',
    url: '/v1/network/rotate-tier-key',
    onRequest: access.toNetwork('admin'),
    handler: async (_, reply) => {
      await tierKeyRotation.begin();
      reply.code(202);
      return answer();
    },
  });
}
