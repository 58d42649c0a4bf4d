import type { FastifyInstance } from 'fastify';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { nameSchema, sequenceSchema, timestampSchema } from '#core/contract/names.ts';
import { type Node, nodeSchema } from '#core/contract/node.ts';
import { heartbeatSchema } from '#core/contract/report.ts';
import { CanopyError } from '#core/errors.ts';
import { digestOf, newSecret } from '../secrets.ts';
import { wrote } from './audit.ts';
import { catchUpFor, entityTagOf, requireUnchanged, sendTagged } from './conditions.ts';
import { withName } from './named.ts';
import { pageByName, pageOf, pageQuerySchema } from './pages.ts';
import { route } from './route.ts';
import type { Standing } from '../journal/leases.ts';
import type { LastHeartbeat } from '../state/standings.ts';
import type { Services } from './services.ts';

const params = z.strictObject({ node: nameSchema });

const nodeAnswerSchema = z.strictObject({ node: nodeSchema, sequence: sequenceSchema });

/** A node and how it is. */
const nodeStatusSchema = nodeSchema.extend({
  fence: sequenceSchema,
  inService: z.boolean(),
  leaseRemainingMs: z.int().nullable(),
  lastHeartbeat: heartbeatSchema.omit({ fence: true }).extend({ at: timestampSchema }).nullable(),
});

export function nodeRoutes(app: FastifyInstance, services: Services): void {
  const { access, journal, leases } = services;

  route(
    app,
    {
      method: 'GET',
      path: '/v1/nodes',
      id: 'listNodes',
      summary: 'Every node and how it is, by name',
      admits: access.toNetwork('read'),
      query: pageQuerySchema,
      answers: { 200: pageOf(nodeStatusSchema) },
    },
    async ({ query }) => {
      const [{ nodes }, heartbeats] = await Promise.all([leases.survey(), leases.heartbeats()]);
      const byName = new Map(nodes.map((standing) => [standing.node, standing]));
      const page = pageByName(journal.config.nodes, query);
      const items = page.items.map((node) =>
        statusOf(node, byName.get(node.name), heartbeats.get(node.name)),
      );
      return { ...page, items };
    },
  );

  route(
    app,
    {
      method: 'GET',
      path: '/v1/nodes/:node',
      id: 'getNode',
      summary: 'A node as it is configured',
      admits: access.toNetwork('read'),
      params,
      answers: { 200: nodeSchema, 304: null },
      conditional: true,
    },
    async (request, reply) =>
      sendTagged(request, reply, named(journal.config.nodes, request.params.node)),
  );

  route(
    app,
    {
      method: 'PUT',
      path: '/v1/nodes/:node',
      id: 'putNode',
      summary: 'Add or change a node; one that is new gets its credential',
      admits: access.toNetwork('configure'),
      params,
      body: nodeSchema.partial({ name: true }).meta({ title: 'node' }),
      answers: {
        200: nodeAnswerSchema,
        201: nodeAnswerSchema.extend({ credential: z.string() }),
      },
      conditional: true,
    },
    async (request, reply) => {
      const node = withName('node', request.params.node, request.body);
      const credential = newSecret();
      let created = false;
      await catchUpFor(request, journal);
      const events = await journal.change((config) => {
        const present = config.nodes.find(({ name }) => name === node.name);
        requireUnchanged(request, present);
        if (isDeepStrictEqual(present, node)) return { entries: [] };
        created = present === undefined;
        const alongside = created
          ? { credential: { node: node.name, digest: digestOf(credential) } }
          : {};
        return { entries: [{ type: 'node.put', node }], alongside: () => alongside };
      });
      reply.code(created ? 201 : 200).header('etag', entityTagOf(node));
      const answer = { node, sequence: wrote(request, events) ?? journal.config.sequence };
      return created ? { ...answer, credential } : answer;
    },
  );

  for (const [verb, draining, summary] of DRAINS) {
    route(
      app,
      {
        method: 'POST',
        path: `/v1/nodes/:node/${verb}`,
        id: `${verb}Node`,
        summary,
        admits: access.toNetwork('configure'),
        params,
        answers: { 200: nodeAnswerSchema },
        conditional: true,
      },
      async (request, reply) => {
        const { node: name } = request.params;
        await catchUpFor(request, journal);
        const events = await journal.change(({ nodes }) => {
          const node = named(nodes, name);
          requireUnchanged(request, node);
          if (node.draining === draining) return { entries: [] };
          return { entries: [{ type: 'node.put', node: { ...node, draining } }] };
        });
        const node = named(journal.config.nodes, name);
        reply.header('etag', entityTagOf(node));
        return { node, sequence: wrote(request, events) ?? journal.config.sequence };
      },
    );
  }

  route(
    app,
    {
      method: 'DELETE',
      path: '/v1/nodes/:node',
      id: 'deleteNode',
      summary: 'Remove a node; its credential ends with it',
      admits: access.toNetwork('configure'),
      params,
      answers: { 200: z.strictObject({ sequence: sequenceSchema }) },
      conditional: true,
    },
    async (request) => {
      const { node: name } = request.params;
      await catchUpFor(request, journal);
      const events = await journal.change(({ nodes }) => {
        requireUnchanged(request, named(nodes, name));
        return { entries: [{ type: 'node.delete', name }] };
      });
      return { sequence: wrote(request, events) };
    },
  );
}

/** What takes a node out of use, and what takes it back. */
const DRAINS = [
  ['drain', true, 'Have a node asked nothing new, before it is stopped'],
  ['resume', false, 'Use a node that was drained'],
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
): z.output<typeof nodeStatusSchema> {
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
            parents: [...heartbeat.parents],
            refusals: [...heartbeat.refusals],
            missingCertificates: [...(heartbeat.missingCertificates ?? [])],
            ailments: [...(heartbeat.ailments ?? [])],
            answers: [...(heartbeat.answers ?? [])],
            at: heartbeat.at,
          },
  };
}
