import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { validate } from '#core/contract/validate.ts';
import { CanopyError } from '#core/errors.ts';
import { readPurgeRequest } from '../purge/plan.ts';
import type { PurgeRecord } from '../state/store.ts';
import { mayReach, requireSite } from './access.ts';
import type { Services } from './services.ts';

/** Ten thousand URLs of a fair length. */
const BODY_LIMIT_BYTES = 8 * 1024 * 1024;
const LISTED = 100;

const waitSchema = z.strictObject({
  waitMs: z.coerce.number().int().min(0).max(60_000).default(0),
});

export function purgeRoutes(app: FastifyInstance, { access, purges }: Services): void {
  app.route({
    method: 'POST',
    url: '/v1/purges',
    onRequest: access.toSites('purge'),
    bodyLimit: BODY_LIMIT_BYTES,
    handler: async (request, reply) => {
      const order = readPurgeRequest(request.body);
      const purge = await purges.order(order, (targets) => {
        for (const { site } of targets) requireSite(request.token, site);
      });
      reply.code(202).header('location', `/v1/purges/${purge.id}`);
      return purge;
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
      if (found === undefined || !reaches(request, found)) {
        throw new CanopyError('not-found', `There is no purge "${id}"`);
      }
      return purges.wait(id, waitMs);
    },
  });

  // Without targets: a hundred lists of ten thousand URLs are not an answer.
  app.route({
    method: 'GET',
    url: '/v1/purges',
    onRequest: access.toSites('read'),
    handler: async (request) => {
      const latest = await purges.latest(LISTED);
      return latest
        .filter((purge) => reaches(request, purge))
        .map(({ targets, ...purge }) => ({ ...purge, sites: targets.map(({ site }) => site) }));
    },
  });
}

const reaches = (request: FastifyRequest, purge: PurgeRecord): boolean =>
  purge.targets.every(({ site }) => mayReach(request, site));
