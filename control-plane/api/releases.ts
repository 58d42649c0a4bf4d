import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { CurrentRelease } from '#core/contract/event.ts';
import { nameSchema } from '#core/contract/names.ts';
import { releaseObjectSchema } from '#core/contract/release.ts';
import { CanopyError } from '#core/errors.ts';
import { evaluatePreconditions } from '#core/http/conditionals.ts';
import { identify } from '../purge/identity.ts';
import { releaseOrderSchema, rollbackOrderSchema } from '../release/order.ts';
import { releaseRecordSchema } from '../release/record.ts';
import type { ShownRelease } from '../release/releases.ts';
import type { ReleaseOrderer } from '../release/run.ts';
import { pageFrom, pageOf, pageQuery } from './pages.ts';
import { goneSignal, route } from './route.ts';
import type { Services } from './services.ts';
import { waitQuerySchema } from './waiting.ts';

/** Fifty thousand objects of a fair path. */
const BODY_LIMIT_BYTES = 16 * 1024 * 1024;

const ofSite = z.strictObject({ site: nameSchema });
const ofRelease = ofSite.extend({ id: z.uuid() });

const { status: _, ...kept } = releaseRecordSchema.omit({
  manifest: true,
  additions: true,
  isRetired: true,
}).shape;

/**
 * preparing: not switched to yet; switching: some nodes are still to switch; current: in effect;
 * superseded: another is; failed, cancelled: it never was.
 */
const releaseSchema = z.strictObject({
  ...kept,
  status: z.enum(['preparing', 'switching', 'current', 'superseded', 'failed', 'cancelled']),
});

const siteRoute = '/v1/sites/:site/releases' as const;

/** How a release fails before its switch, besides what follows from the request. */
const ERRORS = ['not-found', 'conflict', 'precondition-failed'] as const;

export function releaseRoutes(
  app: FastifyInstance,
  { access, orderKeys, releases }: Services,
): void {
  const [read, publish] = [access.toSites('read'), access.toSites('publish')];

  route(
    app,
    {
      method: 'POST',
      path: siteRoute,
      id: 'orderRelease',
      summary: 'Replace all objects of a push site at one moment, on every node',
      admits: publish,
      params: ofSite,
      body: releaseOrderSchema,
      bodyLimitBytes: BODY_LIMIT_BYTES,
      answers: { 202: releaseSchema },
      errors: [...ERRORS, 'idempotency-mismatch'],
      conditional: true,
    },
    async (request, reply) => {
      const { site } = request.params;
      const orderer = ordererOf(request);
      const key = request.headers['idempotency-key']?.toString();
      const release = await orderKeys.once(
        identify(key, orderer.by, { site, ...request.body }),
        releases.newId(),
        (id) => releases.find(site, id),
        (id) => releases.order(site, request.body, orderer, id),
      );
      reply.code(202).header('location', `/v1/sites/${site}/releases/${release.id}`);
      return shown(release);
    },
  );

  route(
    app,
    {
      method: 'POST',
      path: `${siteRoute}/rollback`,
      id: 'rollBackRelease',
      summary:
        'Switch to a release that the site had before, by default the one before the current one',
      admits: publish,
      params: ofSite,
      body: rollbackOrderSchema,
      answers: { 202: releaseSchema },
      errors: ERRORS,
      conditional: true,
    },
    async (request, reply) => {
      const { site } = request.params;
      const release = await releases.rollback(site, request.body, ordererOf(request));
      reply.code(202).header('location', `/v1/sites/${site}/releases/${release.id}`);
      return shown(release);
    },
  );

  route(
    app,
    {
      method: 'GET',
      path: siteRoute,
      id: 'listReleases',
      summary: 'Releases of a site, latest first',
      admits: read,
      params: ofSite,
      query: z.strictObject({ ...pageQuery }),
      answers: { 200: pageOf(releaseSchema) },
    },
    async (request) => {
      const { limit, after } = request.query;
      const found = await releases.latest(request.params.site, limit + 1, after);
      const page = pageFrom(found, limit, ({ id }) => id);
      return { ...page, items: page.items.map(shown) };
    },
  );

  route(
    app,
    {
      method: 'GET',
      path: `${siteRoute}/:id`,
      id: 'getRelease',
      summary: 'A release, once nothing more is to come of it or the time to wait is over',
      admits: read,
      params: ofRelease,
      query: waitQuerySchema,
      answers: { 200: releaseSchema },
    },
    async (request, reply) => {
      const { site, id } = request.params;
      const { waitMs } = request.query;
      return shown(known(site, id, await releases.wait(site, id, waitMs, goneSignal(reply))));
    },
  );

  route(
    app,
    {
      method: 'GET',
      path: `${siteRoute}/:id/objects`,
      id: 'listReleaseObjects',
      summary: 'What a release has, by path',
      admits: read,
      params: ofRelease,
      query: z.strictObject({ ...pageQuery, after: z.string().max(8_192).optional() }),
      answers: { 200: pageOf(releaseObjectSchema) },
      errors: ['content-missing', 'upstream-unreachable'],
    },
    async (request) => {
      const { site, id } = request.params;
      const { limit, after = '' } = request.query;
      const objects = await releases.objects(known(site, id, await releases.find(site, id)));
      const rest = objects.filter(({ path }) => path > after).slice(0, limit + 1);
      return pageFrom(rest, limit, ({ path }) => path);
    },
  );

  route(
    app,
    {
      method: 'POST',
      path: `${siteRoute}/:id/cancel`,
      id: 'cancelRelease',
      summary: 'Give up a release before its switch',
      admits: publish,
      params: ofRelease,
      answers: { 200: releaseSchema },
      errors: ['conflict'],
    },
    async (request) => shown(await releases.cancel(request.params.site, request.params.id)),
  );
}

/** `If-Match` names the release that is to be replaced. */
function ordererOf({ token, headers, method }: FastifyRequest): ReleaseOrderer {
  const conditions = {
    method,
    ifMatch: headers['if-match'],
    ifNoneMatch: headers['if-none-match'],
  };
  return {
    by: token?.name ?? '',
    check: (current: CurrentRelease | undefined) => {
      const present = current && { etag: `"${current.id}"` };
      if (evaluatePreconditions(conditions, present) === 'proceed') return;
      const is = current === undefined ? 'there is none' : `it is "${current.id}"`;
      throw new CanopyError('precondition-failed', `The release is not what was expected: ${is}`);
    },
  };
}

function known(site: string, id: string, release: ShownRelease | undefined): ShownRelease {
  if (release !== undefined) return release;
  throw new CanopyError('not-found', `Site "${site}" has no release "${id}"`);
}

const shown = (release: ShownRelease): z.output<typeof releaseSchema> =>
  z.object(releaseSchema.shape).parse({ ...release, status: statusOf(release) });

function statusOf(release: ShownRelease): z.output<typeof releaseSchema>['status'] {
  const { status, isOnItsWay, isCurrent, isComplete } = release;
  if (status === 'failed' || status === 'cancelled') return status;
  if (!isCurrent) return isOnItsWay || status === 'preparing' ? 'preparing' : 'superseded';
  return isComplete && !isOnItsWay ? 'current' : 'switching';
}
