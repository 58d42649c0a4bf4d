import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { nameSchema, sequenceSchema, timestampSchema } from '#core/contract/names.ts';
import { tierSchema } from '#core/contract/node.ts';
import {
  banSchema,
  namesOf,
  purgeModeSchema,
  type PurgeTarget,
  purgeTargetSchema,
  siteOfTarget,
} from '#core/contract/purge.ts';
import { CanopyError } from '#core/errors.ts';
import { planLift } from '../purge/bans.ts';
import { dryRun } from '../purge/dry-run.ts';
import { identify } from '../purge/identity.ts';
import { purgeRequestSchema, sizeOf, withMode } from '../purge/plan.ts';
import { purgePreviewSchema } from '../purge/preview.ts';
import type { PurgeRecord } from '../state/store.ts';
import { mayReach, requireNetwork, requireSite } from './access.ts';
import { wrote } from './audit.ts';
import { pageFrom, pageOf, pageQuery } from './pages.ts';
import { RateLimits } from './rate-limits.ts';
import { goneSignal, route } from './route.ts';
import type { Services } from './services.ts';
import { waitQuerySchema } from './waiting.ts';

/** Ten thousand URLs of a fair length. */
const BODY_LIMIT_BYTES = 8 * 1024 * 1024;

/** URLs, prefixes, tags and the like that one token may purge. */
const PURGE_RATE = { perSecond: 1_000, burst: 20_000 };

const count = z.int().nullable();

const progressSchema = z.strictObject({
  node: nameSchema,
  tier: tierSchema,
  status: z.enum(['acknowledged', 'pending', 'lease-ended']),
  objects: count,
  bytes: count,
  fills: z.int(),
  tookMs: z.number().nullable(),
});

const purgeSchema = z.strictObject({
  id: z.string(),
  mode: purgeModeSchema,
  by: z.string(),
  reason: z.string().optional(),
  /** The release that the site switches to with it. */
  release: z.string().optional(),
  targets: z.array(purgeTargetSchema),
  sequences: z.array(sequenceSchema),
  status: z.enum(['pending', 'complete']),
  createdAt: timestampSchema,
  completedAt: timestampSchema.optional(),
  nodes: z.array(progressSchema),
});

/** A purge in a list of many: a hundred lists of ten thousand URLs are not an answer. */
const purgeSummarySchema = purgeSchema.omit({ targets: true }).extend({
  kind: z.string().optional(),
  sites: z.array(nameSchema),
  /** How many are named, and the first of them. */
  names: z.int(),
  first: z.string().optional(),
});

export function purgeRoutes(app: FastifyInstance, services: Services): void {
  const { access, clock, journal, purges } = services;
  const limits = new RateLimits(clock, PURGE_RATE, 'URLs, prefixes, tags and other names to purge');

  route(
    app,
    {
      method: 'POST',
      path: '/v1/purges',
      id: 'orderPurge',
      summary: 'Have every node forget objects, or say what that would hit',
      admits: access.toSites('purge'),
      body: purgeRequestSchema,
      bodyLimitBytes: BODY_LIMIT_BYTES,
      answers: { 200: purgePreviewSchema, 202: purgeSchema },
      errors: ['not-found', 'conflict', 'idempotency-mismatch'],
    },
    async (request, reply) => {
      const { dryRun: isDryRun = false, ...order } = withMode(request.body);
      const { name: by, sites } = tokenOf(request);
      limits.take(by, sizeOf(order));
      const check = (targets: readonly PurgeTarget[]): void => {
        for (const target of targets) requireTarget(request, target);
      };
      if (isDryRun) return dryRun(services, order, sites, check);
      const key = request.headers['idempotency-key'];
      const identified = identify(key === undefined ? undefined : String(key), by, order);
      const purge = await purges.order(order, { by, sites, request: identified }, check);
      request.sequences = purge.sequences;
      reply.code(202).header('location', `/v1/purges/${purge.id}`);
      return shown(purge);
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
      query: waitQuerySchema,
      answers: { 200: purgeSchema },
    },
    async (request, reply) => {
      const { id } = request.params;
      const found = await purges.find(id);
      if (found === undefined || !reaches(request, found.targets)) {
        throw new CanopyError('not-found', `There is no purge "${id}"`);
      }
      return shown((await purges.wait(id, request.query.waitMs, goneSignal(reply))) ?? found);
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
      const found = await purges.latest(limit + 1, after);
      const page = pageFrom(found, limit, ({ sequences }) => String(Math.max(...sequences)));
      const reached = page.items.filter(({ targets }) => reaches(request, targets));
      return { ...page, items: reached.map(summaryOf) };
    },
  );

  route(
    app,
    {
      method: 'GET',
      path: '/v1/bans',
      id: 'listBans',
      summary: 'What is not stored until its ban is lifted, oldest first',
      admits: access.toSites('read'),
      query: z.strictObject({
        ...pageQuery,
        /** Bans of later sequences. */
        after: z.coerce.number().pipe(sequenceSchema).default(0),
      }),
      answers: { 200: pageOf(banSchema) },
    },
    async (request) => {
      const { limit, after } = request.query;
      const reached = journal.config.bans
        .filter(({ sequence, target }) => sequence > after && reaches(request, [target]))
        .toSorted((a, b) => a.sequence - b.sequence);
      return pageFrom(reached, limit, ({ sequence }) => String(sequence));
    },
  );

  route(
    app,
    {
      method: 'DELETE',
      path: '/v1/bans/:id',
      id: 'liftBan',
      summary: 'Have what a purge banned stored again',
      admits: access.toSites('purge'),
      params: z.strictObject({ id: z.string() }),
      answers: { 200: z.strictObject({ sequence: sequenceSchema }) },
    },
    async (request) => {
      const events = await journal.change((config) => ({
        entries: planLift(config, request.params.id, (bans) => {
          for (const { target } of bans) requireTarget(request, target);
        }),
      }));
      return { sequence: wrote(request, events) ?? journal.config.sequence };
    },
  );
}

function tokenOf({ token }: FastifyRequest) {
  if (token === undefined) throw new CanopyError('unauthenticated', 'No token is known');
  return token;
}

function requireTarget(request: FastifyRequest, target: PurgeTarget): void {
  const site = siteOfTarget(target);
  if (site === undefined) requireNetwork(tokenOf(request));
  else requireSite(request.token, site);
}

const reaches = (request: FastifyRequest, targets: readonly PurgeTarget[]): boolean =>
  targets.every((target) => {
    const site = siteOfTarget(target);
    return site === undefined ? request.token?.sites === null : mayReach(request, site);
  });

function shown(purge: PurgeRecord): PurgeRecord {
  const { request: _, ...rest } = purge;
  return rest;
}

/** A purge in a list of many. */
function summaryOf(purge: PurgeRecord): object {
  const { targets, ...rest } = shown(purge);
  const names = targets.flatMap(namesOf);
  const kind = targets[0]?.kind;
  const sites = [...new Set(targets.flatMap((target) => siteOfTarget(target) ?? []))];
  return { ...rest, kind, sites, names: names.length, first: names[0] };
}
