import type { FastifyInstance } from 'fastify';
import type { NodeStanding } from '#core/contract/standing.ts';
import { CanopyError } from '#core/errors.ts';
import { nodeOf } from './access.ts';
import type { Services } from './services.ts';

/** What routers ask every second: how the nodes stand. */
export function standingRoutes(app: FastifyInstance, { access, leases }: Services): void {
  app.route({
    method: 'GET',
    url: '/v1/node/standings',
    onRequest: access.toNode(),
    handler: async (request) => {
      const { name, tier } = nodeOf(request);
      if (tier !== 'router') {
        throw new CanopyError('forbidden', `"${name}" is no router`);
      }
      const [survey, heartbeats] = await Promise.all([leases.survey(), leases.heartbeats()]);
      const nodes = survey.nodes.map(({ node, remainingMs }): NodeStanding => {
        const last = heartbeats.get(node);
        return {
          name: node,
          inService: remainingMs > 0,
          last: last === undefined ? null : { at: last.at, load: last.load },
        };
      });
      return { nodes };
    },
  });
}
