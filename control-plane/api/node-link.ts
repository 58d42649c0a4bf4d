import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { sequenceSchema } from '#core/contract/names.ts';
import { JOURNAL_FIELD } from '#core/node/journal-stream.ts';
import { acknowledgementSchema, heartbeatSchema } from '#core/contract/report.ts';
import { validate } from '#core/contract/validate.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import { nodeOf } from './access.ts';
import type { Services } from './services.ts';

/** Ten thousand purge reports. */
const BODY_LIMIT_BYTES = 4 * 1024 * 1024;

const resumeSchema = z.strictObject({ after: z.coerce.number().pipe(sequenceSchema).optional() });

/** What nodes talk to; a credential tells which node it is. */
export function nodeLinkRoutes(app: FastifyInstance, services: Services): void {
  const { access, leases, purges, rollouts, streams } = services;
  const onRequest = access.toNode();

  app.route({
    method: 'GET',
    url: '/v1/node/stream',
    onRequest,
    handler: async (request, reply) => {
      const node = nodeOf(request);
      const lastEventId = request.headers['last-event-id'];
      const input = lastEventId === undefined ? request.query : { after: lastEventId };
      const { after } = validate(resumeSchema, input, 'resume point');
      const resumes = await streams.reaches(request.headers[JOURNAL_FIELD]?.toString(), after);
      await leases.resumed(node, resumes ? (after ?? 0) : 0);
      await purges.settle();
      reply.hijack();
      streams.serve(reply.raw, node, resumes ? after : undefined).catch((error: unknown) => {
        request.log.error(error, `The stream of ${node.name} failed: ${messageOf(error)}`);
      });
    },
  });

  app.route({
    method: 'POST',
    url: '/v1/node/acknowledgements',
    onRequest,
    bodyLimit: BODY_LIMIT_BYTES,
    handler: async (request, reply) => {
      const input = validate(acknowledgementSchema, request.body, 'acknowledgement');
      const node = nodeOf(request);
      await rollouts.refused(node.name, input.refusals);
      await purges.acknowledge(node, input);
      return reply.code(204).send();
    },
  });

  app.route({
    method: 'POST',
    url: '/v1/node/leave',
    onRequest,
    handler: async (request, reply) => {
      await leases.left(nodeOf(request));
      await purges.settle();
      return reply.code(204).send();
    },
  });

  app.route({
    method: 'POST',
    url: '/v1/node/heartbeats',
    onRequest,
    handler: async (request) => {
      const node = nodeOf(request);
      const heartbeat = validate(heartbeatSchema, request.body, 'heartbeat');
      await rollouts.refused(node.name, heartbeat.refusals);
      if (await leases.heartbeat(node, heartbeat)) return { leaseMs: leases.leaseMs };
      throw new CanopyError(
        'unavailable',
        `No lease at fence ${heartbeat.fence}: a later purge is complete without this node`,
      );
    },
  });
}
