import type { FastifyInstance } from 'fastify';
import { isDeepStrictEqual } from 'node:util';
import { type Node, nodeSchema } from '#core/contract/node.ts';
import { validate } from '#core/contract/validate.ts';
import { CanopyError } from '#core/errors.ts';
import { digestOf, newSecret } from '../secrets.ts';
import { withName } from './named.ts';
import type { Standing } from '../journal/leases.ts';
import type { LastHeartbeat } from '../state/standings.ts';
import type { Services } from './services.ts';

interface Route {
  readonly Params: { readonly node: string };
}

export function nodeRoutes(app: FastifyInstance, services: Services): void {
  const { access, journal, leases } = services;

  app.route({
    method: 'GET',
    url: '/v1/nodes',
    onRequest: access.toNetwork('read'),
    handler: async () => {
      const [{ nodes }, heartbeats] = await Promise.all([leases.survey(), leases.heartbeats()]);
      const byName = new Map(nodes.map((standing) => [standing.node, standing]));
      return journal.config.nodes.map((node) =>
        statusOf(node, byName.get(node.name), heartbeats.get(node.name)),
      );
    },
  });

  app.route<Route>({
    method: 'PUT',
    url: '/v1/nodes/:node',
    onRequest: access.toNetwork('configure'),
    handler: async (request, reply) => {
      const input = withName('node', request.params.node, request.body);
      const node = validate(nodeSchema, input, 'node');
      const credential = newSecret();
      let created = false;
      await journal.change((config) => {
        const present = config.nodes.find(({ name }) => name === node.name);
        if (isDeepStrictEqual(present, node)) return { entries: [] };
        created = present === undefined;
        const alongside = created
          ? { credential: { node: node.name, digest: digestOf(credential) } }
          : {};
        return { entries: [{ type: 'node.put', node }], alongside: () => alongside };
      });
      reply.code(created ? 201 : 200);
      const answer = { node, sequence: journal.config.sequence };
      return created ? { ...answer, credential } : answer;
    },
  });

  for (const [verb, draining] of DRAINS) {
    app.route<Route>({
      method: 'POST',
      url: `/v1/nodes/:node/${verb}`,
      onRequest: access.toNetwork('configure'),
      handler: async (request) => {
        const { node: name } = request.params;
        await journal.change(({ nodes }) => {
          const node = named(nodes, name);
          if (node.draining === draining) return { entries: [] };
          return { entries: [{ type: 'node.put', node: { ...node, draining } }] };
        });
        return { node: named(journal.config.nodes, name), sequence: journal.config.sequence };
      },
    });
  }

  app.route<Route>({
    method: 'DELETE',
    url: '/v1/nodes/:node',
    onRequest: access.toNetwork('configure'),
    handler: async (request) => {
      const { node: name } = request.params;
      await journal.change(({ nodes }) => {
        named(nodes, name);
        return { entries: [{ type: 'node.delete', name }] };
      });
      return { sequence: journal.config.sequence };
    },
  });
}

/** What takes a node out of use, and what takes it back. */
const DRAINS = [
  ['drain', true],
  ['resume', false],
] as const;

/** @throws CanopyError `not-found` */
function named(nodes: readonly Node[], name: string): Node {
  const node = nodes.find((candidate) => candidate.name === name);
  if (node === undefined) throw new CanopyError('not-found', `There is no node "${name}"`);
  return node;
}

function statusOf(
  node: Node,
  { fence, remainingMs }: Pick<Standing, 'fence' | 'remainingMs'> = { fence: 0, remainingMs: 0 },
  heartbeat?: LastHeartbeat,
): object {
  return {
    ...node,
    fence,
    inService: remainingMs > 0,
    leaseRemainingMs: remainingMs > 0 ? Math.ceil(remainingMs) : null,
    lastHeartbeat:
      heartbeat === undefined
        ? null
        : {
            pid: heartbeat.pid,
            version: heartbeat.version,
            load: heartbeat.load,
            parents: heartbeat.parents,
            refusals: heartbeat.refusals,
            at: heartbeat.at,
          },
  };
}
