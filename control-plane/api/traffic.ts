import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { nameSchema } from '#core/contract/names.ts';
import { tierSchema } from '#core/contract/node.ts';
import { trafficReportSchema } from '#core/contract/traffic.ts';
import { CanopyError } from '#core/errors.ts';
import { STEP_MS, STEPS } from '../traffic/traffic.ts';
import { mayReach, nodeOf } from './access.ts';
import { route } from './route.ts';
import type { Services } from './services.ts';

const STEP_SECONDS = STEP_MS / 1000;

const querySchema = z.strictObject({
  /** A site, or `_other` or `_none` as in metrics; a token that is limited to sites has to name one of them. */
  site: z.string().min(1).max(64).optional(),
  location: nameSchema.optional(),
  tier: tierSchema.extract(['edge', 'mid-tier']).optional(),
  node: nameSchema.optional(),
  by: z.enum(['none', 'site', 'location', 'tier', 'node']).default('none'),
  /** A multiple of 10. */
  stepSeconds: z.coerce.number().int().multipleOf(STEP_SECONDS).min(STEP_SECONDS).default(10),
  /** Steps, of the last hour. */
  points: z.coerce.number().int().min(1).max(STEPS).default(60),
});

const figuresOf = <T extends z.ZodType>(value: T) =>
  z.strictObject({
    requests: value,
    /** Answered from the cache, stale answers included. */
    hits: value,
    bytesSent: value,
    hitBytes: value,
    /** Answered with a status of 500 or more. */
    errors: value,
    /** Sent to parents; `null` where one site is asked for. */
    upstreamRequests: value,
    /** Sent to origins; `null` where one site is asked for. */
    originRequests: value,
    /** To the first byte of answers, by the buckets of `canopy_first_byte_seconds`. */
    p50Ms: value,
    p90Ms: value,
    p99Ms: value,
  });

const valueSchema = z.number().nullable();

const answerSchema = z.strictObject({
  stepMs: z.int(),
  /** Where the first step begins, ms since the epoch. */
  from: z.number(),
  /** The busiest first. Counts are of a step, no rates; `null`: nobody has reported. */
  groups: z.array(
    z.strictObject({
      name: z.string(),
      series: figuresOf(z.array(valueSchema)),
      total: figuresOf(valueSchema),
    }),
  ),
});

/** What the network serves. */
export function trafficRoutes(app: FastifyInstance, services: Services): void {
  const { access, questions, traffic } = services;
  route(
    app,
    {
      method: 'GET',
      path: '/v1/traffic',
      id: 'getTraffic',
      summary: 'What the network, or a part of it, has served within the hour',
      admits: access.toSites('read'),
      query: querySchema,
      answers: { 200: answerSchema },
      errors: ['forbidden', 'invalid-request'],
    },
    async (request) => {
      const { stepSeconds, ...query } = request.query;
      const { site, points } = query;
      const isLimited = request.token?.sites !== null;
      if (isLimited && (site === undefined || !mayReach(request, site))) {
        throw new CanopyError('forbidden', 'The token is limited to sites: ask for one of them');
      }
      if (points * stepSeconds > STEPS * STEP_SECONDS) {
        throw new CanopyError('invalid-request', 'No more than the last hour is kept');
      }
      return traffic.query({ ...query, stepMs: stepSeconds * 1000 });
    },
  );

  route(
    app,
    {
      method: 'POST',
      path: '/v1/node/traffic',
      id: 'reportTraffic',
      summary: 'Say what the node has served',
      admits: access.toNode(),
      body: trafficReportSchema,
      answers: { 204: null },
    },
    async (request, reply) => {
      await questions.trafficReported(nodeOf(request).name, request.body);
      return reply.code(204).send();
    },
  );
}
