import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { purgeModeSchema, purgeTargetSchema } from '#core/contract/event.ts';
import { nameSchema, sequenceSchema, timestampSchema } from '#core/contract/names.ts';
import { tierSchema } from '#core/contract/node.ts';
import { CanopyError } from '#core/errors.ts';
import { purgeRequestSchema } from '../purge/plan.ts';
import type { PurgeRecord } from '../state/store.ts';
import { mayReach, requireSite } from './access.ts';
import { pageFrom, pageOf, pageQuery } from './pages.ts';
import { goneSignal, route } from './route.ts';
import type { Services } from './services.ts';

/** Ten thousand URLs of a fair length. */
const BODY_LIMIT_BYTES = 8 * 1024 * 1024;
const waitSchema = z.strictObject({
  waitMs: z.coerce.number().int().min(0).max(60_000).default(0),
});

const progressSchema = z.strictObject({
  node: nameSchema,
  tier: tierSchema,
  status: z.enum(['acknowledged', 'pending', 'lease-ended']),
  objects: z.int(),
  bytes: z.int(),
  fills: z.int(),
  tookMs: z.number().nullable(),
});

const purgeSchema = z.strictObject({
  id: z.string(),
  mode: purgeModeSchema,
  targets: z.array(purgeTargetSchema),
  sequences: z.array(sequenceSchema),
  status: z.enum(['pending', 'complete']),
  createdAt: timestampSchema,
  completedAt: timestampSchema.optional(),
  nodes: z.array(progressSchema),
});

/** In a list: a hundred lists of ten thousand URLs are not an answer. */
const purgeSummarySchema = purgeSchema
  .omit({ targets: true })
  .extend({ sites: z.array(nameSchema) });

export function purgeRoutes(app: FastifyInstance, { access, purges }: Services): void {
  route(
    app,
    {
      method: 'POST',
      path: '/v1/purges',
      id: 'orderPurge',
      summary: 'Have every node forget objects',
      admits: access.toSites('purge'),
      body: purgeRequestSchema,
      bodyLimitBytes: BODY_LIMIT_BYTES,
      answers: { 202: purgeSchema },
      errors: ['not-found'],
    },
    async (request, reply) => {
      const purge = await purges.order(request.body, (targets) => {
        for (const { site } of targets) requireSite(request.token, site);
      });
      request.sequences = purge.sequences;
      reply.code(202).header('location', `/v1/purges/${purge.id}`);
      return purge;
    },
  );

  route(
    app,
    {
      method: 'GET',
      path: '/v1/purges/:id',
      id: 'getPurge',
      summary: 'A purge, once it is complete or the time to wait is over',
      admits: access.toSites('read'),
      params: z.strictObject({ id: z.string() }),
      query: waitSchema,
      answers: { 200: purgeSchema },
    },
    async (request, reply) => {
      const { id } = request.params;
      const found = await purges.find(id);
      if (found === undefined || !reaches(request, found)) {
        throw new CanopyError('not-found', `There is no purge "${id}"`);
      }
      return purges.wait(id, request.query.waitMs, goneSignal(reply));
    },
  );

  route(
    app,
    {
      method: 'GET',
      path: '/v1/purges',
      id: 'listPurges',
      summary: 'Purges, latest first',
      admits: access.toSites('read'),
      query: z.strictObject({
        ...pageQuery,
        /** Purges of earlier sequences. */
        after: z.coerce.number().pipe(sequenceSchema).optional(),
      }),
      answers: { 200: pageOf(purgeSummarySchema) },
    },
    async (request) => {
      const { limit, after } = request.query;
      const page = pageFrom(await purges.latest(limit + 1, after), limit, (purge) =>
        String(Math.max(...purge.sequences)),
      );
      return { ...page, items: page.items.filter((p) => reaches(request, p)).map(summaryOf) };
    },
  );
}

const summaryOf = ({ targets, ...purge }: PurgeRecord): object => ({
  ...purge,
  sites: targets.map(({ site }) => site),
});

const reaches = (request: FastifyRequest, purge: PurgeRecord): boolean =>
  purge.targets.every(({ site }) => mayReach(request, site));
