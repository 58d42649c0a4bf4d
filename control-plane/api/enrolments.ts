import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { enrolledSchema, enrolmentExchangeSchema } from '#core/contract/enrolment.ts';
import { nameSchema, timestampSchema } from '#core/contract/names.ts';
import { type Node, nodeSchema } from '#core/contract/node.ts';
import { validate } from '#core/contract/validate.ts';
import { CanopyError } from '#core/errors.ts';
import type { Enrolment } from '../enrolments.ts';
import { enrolment } from './access.ts';
import { wrote } from './audit.ts';
import { pageFrom, pageOf, pageQuerySchema } from './pages.ts';
import { route } from './route.ts';
import type { Services } from './services.ts';

const LONGEST_LIFE_SECONDS = 30 * 86_400;

/** A node, or what is to be different of one that is there. */
const plannedSchema = nodeSchema.partial().required({ name: true });

const requestSchema = plannedSchema
  .extend({ expiresInSeconds: z.int().min(1).max(LONGEST_LIFE_SECONDS).default(3_600) })
  .meta({ title: 'enrolment' });

const enrolmentSchema = z.strictObject({
  node: nodeSchema,
  createdAt: timestampSchema,
  expiresAt: timestampSchema,
  /** `null`: the token was not used yet. */
  usedAt: timestampSchema.nullable(),
});

const params = z.strictObject({ node: nameSchema });

export function enrolmentRoutes(app: FastifyInstance, services: Services): void {
  const { access, enrolments, journal } = services;
  const admits = access.toNetwork('configure');

  /** A node that is there stays as it is, but for what is said anew. */
  const planned = (said: z.output<typeof plannedSchema>): Node => {
    const present = journal.config.nodes.find(({ name }) => name === said.name);
    return validate(nodeSchema, { ...present, ...said }, 'enrolment');
  };

  route(
    app,
    {
      method: 'POST',
      path: '/v1/enrolments',
      id: 'openEnrolment',
      summary: 'Make a one-time token with which a node, new or not, gets its credential',
      admits,
      body: requestSchema,
      answers: {
        201: z.strictObject({ node: nodeSchema, token: z.string(), expiresAt: timestampSchema }),
      },
    },
    async ({ body: { expiresInSeconds, ...said } }, reply) => {
      const node = planned(said);
      reply.code(201);
      return { node, ...(await enrolments.open(node, expiresInSeconds * 1000)) };
    },
  );

  route(
    app,
    {
      method: 'GET',
      path: '/v1/enrolments',
      id: 'listEnrolments',
      summary: 'Enrolments by the name of the node, used or not',
      admits,
      query: pageQuerySchema,
      answers: { 200: pageOf(enrolmentSchema) },
    },
    async ({ query: { limit, after } }) => {
      const found = await enrolments.list(limit + 1, after);
      const page = pageFrom(found, limit, ({ node }) => node.name);
      return { ...page, items: page.items.map(shown) };
    },
  );

  route(
    app,
    {
      method: 'DELETE',
      path: '/v1/enrolments/:node',
      id: 'withdrawEnrolment',
      summary: 'Have the one-time token of a node refused',
      admits,
      params,
      answers: { 204: null },
    },
    async ({ params: { node } }, reply) => {
      if (await enrolments.withdraw(node)) return reply.code(204).send();
      throw new CanopyError('not-found', `There is no enrolment of "${node}"`);
    },
  );

  route(
    app,
    {
      method: 'POST',
      path: '/v1/enrolments/:node/exchange',
      id: 'enrol',
      summary: "Have a node's credential taken, for its one-time token as the bearer",
      admits: enrolment,
      params,
      body: enrolmentExchangeSchema,
      answers: { 200: enrolledSchema },
    },
    async (request) => {
      const credential = Buffer.from(request.body.digest, 'hex');
      const { node, events } = await access.known(request, (digest) =>
        enrolments.exchange(request.params.node, digest, credential),
      );
      wrote(request, events);
      return { node };
    },
  );
}

const shown = ({
  node,
  createdAt,
  expiresAt,
  used,
}: Enrolment): z.output<typeof enrolmentSchema> => ({
  node,
  createdAt,
  expiresAt,
  usedAt: used?.at ?? null,
});
