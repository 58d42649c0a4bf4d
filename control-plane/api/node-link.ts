import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { sequenceSchema } from '#core/contract/names.ts';
import { JOURNAL_FIELD } from '#core/node/journal-stream.ts';
import { pushAnswerSchema, pushRequestSchema } from '#core/contract/push.ts';
import { answerSchema } from '#core/contract/question.ts';
import { acknowledgementSchema, heartbeatSchema, leaseSchema } from '#core/contract/report.ts';
import { validate } from '#core/contract/validate.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import { nodeOf } from './access.ts';
import { route } from './route.ts';
import type { Services } from './services.ts';

/** Ten thousand purge reports. */
const BODY_LIMIT_BYTES = 4 * 1024 * 1024;

const resumeSchema = z.strictObject({ after: z.coerce.number().pipe(sequenceSchema).optional() });

/** What nodes talk to; a credential tells which node it is. */
export function nodeLinkRoutes(app: FastifyInstance, services: Services): void {
  const { access, leases, purges, pushes, questions, rollouts, streams } = services;
  const admits = access.toNode();

  route(
    app,
    {
      method: 'GET',
      path: '/v1/node/stream',
      id: 'followJournal',
      summary: 'The journal as server-sent events, from where the node is',
      admits,
      query: resumeSchema,
      answers: { 200: { mediaType: 'text/event-stream' } },
    },
    async (request, reply) => {
      const node = nodeOf(request);
      const lastEventId = request.headers['last-event-id'];
      const { after } =
        lastEventId === undefined
          ? request.query
          : validate(resumeSchema, { after: lastEventId }, 'resume point');
      const resumes = await streams.reaches(request.headers[JOURNAL_FIELD]?.toString(), after);
      await leases.resumed(node, resumes ? (after ?? 0) : 0);
      await purges.settle();
      reply.hijack();
      streams.serve(reply.raw, node, resumes ? after : undefined).catch((error: unknown) => {
        request.log.error(error, `The stream of ${node.name} failed: ${messageOf(error)}`);
      });
    },
  );

  route(
    app,
    {
      method: 'POST',
      path: '/v1/node/acknowledgements',
      id: 'acknowledge',
      summary: 'Say how far the node has applied the journal, and what purges hit',
      admits,
      body: acknowledgementSchema,
      bodyLimitBytes: BODY_LIMIT_BYTES,
      answers: { 204: null },
    },
    async (request, reply) => {
      const node = nodeOf(request);
      await rollouts.refused(node.name, request.body.refusals);
      await purges.acknowledge(node, request.body);
      return reply.code(204).send();
    },
  );

  route(
    app,
    {
      method: 'POST',
      path: '/v1/node/pushes',
      id: 'workOnPushes',
      summary: 'Say what the node has pushed, and ask for more',
      admits,
      body: pushRequestSchema,
      answers: { 200: pushAnswerSchema },
    },
    async (request) => pushes.work(nodeOf(request), request.body),
  );

  route(
    app,
    {
      method: 'POST',
      path: '/v1/node/answers',
      id: 'answerQuestion',
      summary: 'Answer what the stream has asked',
      admits,
      body: answerSchema,
      answers: { 204: null },
    },
    async (request, reply) => {
      await questions.answered(nodeOf(request).name, request.body);
      return reply.code(204).send();
    },
  );

  route(
    app,
    {
      method: 'POST',
      path: '/v1/node/leave',
      id: 'leave',
      summary: 'Give up the lease, before the node stops',
      admits,
      answers: { 204: null },
    },
    async (request, reply) => {
      await leases.left(nodeOf(request));
      await purges.settle();
      return reply.code(204).send();
    },
  );

  route(
    app,
    {
      method: 'POST',
      path: '/v1/node/heartbeats',
      id: 'beat',
      summary: 'Say how the node is; grants or renews its lease',
      admits,
      body: heartbeatSchema,
      answers: { 200: leaseSchema },
    },
    async (request) => {
      const node = nodeOf(request);
      const heartbeat = request.body;
      await rollouts.refused(node.name, heartbeat.refusals);
      if (await leases.heartbeat(node, heartbeat)) return { leaseMs: leases.leaseMs };
      throw new CanopyError(
        'unavailable',
        `No lease at fence ${heartbeat.fence}: a later purge is complete without this node`,
      );
    },
  );
}
