import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { sequenceSchema } from '#core/contract/names.ts';
import { namesOf, type PurgeTarget, siteOfTarget } from '#core/contract/purge.ts';
import { validate } from '#core/contract/validate.ts';
import { CanopyError } from '#core/errors.ts';
import { planLift } from '../purge/bans.ts';
import { identify } from '../purge/identity.ts';
import { readPurgeRequest, sizeOf } from '../purge/plan.ts';
import type { PurgeRecord } from '../state/store.ts';
import { mayReach, requireNetwork, requireSite } from './access.ts';
import { RateLimits } from './rate-limits.ts';
import type { Services } from './services.ts';

/** Ten thousand URLs of a fair length. */
const BODY_LIMIT_BYTES = 8 * 1024 * 1024;

/** URLs, prefixes, tags and the like that one token may purge. */
const PURGE_RATE = { perSecond: 1_000, burst: 20_000 };

const waitSchema = z.strictObject({
  waitMs: z.coerce.number().int().min(0).max(60_000).default(0),
});
const pageSchema = z.strictObject({
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
  /** Purges of an earlier sequence. */
  before: z.coerce.number().pipe(sequenceSchema).optional(),
});

export function purgeRoutes(app: FastifyInstance, services: Services): void {
  const { access, clock, journal, purges } = services;
  const limits = new RateLimits(clock, PURGE_RATE, 'URLs, prefixes, tags and other names to purge');

  app.route({
    method: 'POST',
    url: '/v1/purges',
    onRequest: access.toSites('purge'),
    bodyLimit: BODY_LIMIT_BYTES,
    handler: async (request, reply) => {
      const order = readPurgeRequest(request.body);
      const { name: by, sites } = tokenOf(request);
      limits.take(by, sizeOf(order));
      const key = request.headers['idempotency-key'];
      const identified = identify(key === undefined ? undefined : String(key), by, order);
      const purge = await purges.order(order, { by, sites, request: identified }, (targets) => {
        for (const target of targets) requireTarget(request, target);
      });
      reply.code(202).header('location', `/v1/purges/${purge.id}`);
      return shown(purge);
    },
  });

  app.route<{ Params: { readonly id: string } }>({
    method: 'GET',
    url: '/v1/purges/:id',
    onRequest: access.toSites('read'),
    handler: async (request) => {
      const { id } = request.params;
      const { waitMs } = validate(waitSchema, request.query, 'query');
      const found = await purges.find(id);
      if (found === undefined || !reaches(request, found.targets)) {
        throw new CanopyError('not-found', `There is no purge "${id}"`);
      }
      return shown((await purges.wait(id, waitMs)) ?? found);
    },
  });

  // Without targets: a hundred lists of ten thousand URLs are not an answer.
  app.route({
    method: 'GET',
    url: '/v1/purges',
    onRequest: access.toSites('read'),
    handler: async (request, reply) => {
      const { limit, before } = validate(pageSchema, request.query, 'query');
      const page = await purges.latest(limit, before);
      const last = page.at(-1);
      if (last !== undefined && page.length === limit) {
        const next = Math.max(...last.sequences);
        reply.header('link', `</v1/purges?limit=${limit}&before=${next}>; rel="next"`);
      }
      return page.filter(({ targets }) => reaches(request, targets)).map(summaryOf);
    },
  });

  app.route({
    method: 'GET',
    url: '/v1/bans',
    onRequest: access.toSites('read'),
    handler: async (request) =>
      journal.config.bans.filter(({ target }) => reaches(request, [target])),
  });

  app.route<{ Params: { readonly id: string } }>({
    method: 'DELETE',
    url: '/v1/bans/:id',
    onRequest: access.toSites('purge'),
    handler: async (request) => {
      await journal.change((config) => ({
        entries: planLift(config, request.params.id, (bans) => {
          for (const { target } of bans) requireTarget(request, target);
        }),
      }));
      return { sequence: journal.config.sequence };
    },
  });
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
  const sites = targets.flatMap((target) => siteOfTarget(target) ?? []);
  return { ...rest, kind, sites, names: names.length, first: names[0] };
}
