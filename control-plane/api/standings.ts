import type { FastifyInstance } from 'fastify';
import { type NodeStanding, standingsSchema } from '#core/contract/standing.ts';
import { CanopyError } from '#core/errors.ts';
import { nodeOf } from './access.ts';
import { route } from './route.ts';
import type { Services } from './services.ts';

/** What routers ask every second: how the nodes stand. */
export function standingRoutes(app: FastifyInstance, { access, leases }: Services): void {
  route(
    app,
    {
      method: 'GET',
      path: '/v1/node/standings',
      id: 'getStandings',
      summary: 'How the nodes stand, for routers',
      admits: access.toNode(),
      answers: { 200: standingsSchema },
      errors: ['forbidden'],
    },
    async (request) => {
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
          // One of an older version has said nothing of it.
          missingCertificates: [...(last?.missingCertificates ?? [])],
          ailments: [...(last?.ailments ?? [])],
        };
      });
      return { nodes };
    },
  );
}
