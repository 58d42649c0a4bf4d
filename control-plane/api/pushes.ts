import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { nameSchema, sequenceSchema, timestampSchema } from '#core/contract/names.ts';
import { tierSchema } from '#core/contract/node.ts';
import {
  pushCountsSchema,
  pushFailureSchema,
  pushIdSchema,
  pushPrioritySchema,
  pushVariantSchema,
} from '#core/contract/push.ts';
import { CanopyError } from '#core/errors.ts';
import { SiteDirectory } from '#core/sites.ts';
import { Documents } from '../push/document.ts';
import { identify } from '../purge/identity.ts';
import { pushOrderSchema } from '../push/plan.ts';
import type { PushRecord } from '../push/record.ts';
import { collectUrls } from '../push/urls.ts';
import { mayReach } from './access.ts';
import { wrote } from './audit.ts';
import { pageFrom, pageOf, pageQuery } from './pages.ts';
import { goneSignal, route } from './route.ts';
import type { Services } from './services.ts';
import { waitQuerySchema } from './waiting.ts';

/** A hundred thousand URLs of a fair length. */
const BODY_LIMIT_BYTES = 32 * 1024 * 1024;

const params = z.strictObject({ id: pushIdSchema });

const nodePushSchema = z.strictObject({
  node: nameSchema,
  tier: tierSchema,
  location: nameSchema,
  status: z.enum(['pending', 'complete', 'lease-ended']),
  /** That the node is to have. */
  objects: z.int(),
  ...pushCountsSchema.shape,
  tookMs: z.number().nullable(),
  failures: z.array(pushFailureSchema),
});

const pushSchema = z.strictObject({
  id: pushIdSchema,
  sequence: sequenceSchema,
  status: z.enum(['running', 'complete', 'cancelled', 'expired']),
  sites: z.array(nameSchema),
  sources: z.strictObject({
    urls: z.int(),
    sitemaps: z.array(z.string()),
    manifests: z.array(z.string()),
  }),
  urls: z.int(),
  skipped: z.int(),
  variants: z.array(pushVariantSchema),
  priority: pushPrioritySchema,
  concurrency: z.int(),
  bytesPerSecond: z.int().nullable(),
  by: z.string(),
  reason: z.string().optional(),
  createdAt: timestampSchema,
  expiresAt: timestampSchema,
  endedAt: timestampSchema.optional(),
  nodes: z.array(nodePushSchema),
});

export function pushRoutes(
  app: FastifyInstance,
  { access, clock, journal, orderKeys, pushes }: Services,
): void {
  const documents = new Documents(clock, () => journal.config);
  app.addHook('onClose', () => documents.close());

  route(
    app,
    {
      method: 'POST',
      path: '/v1/pushes',
      id: 'orderPush',
      summary: 'Have objects stored in nodes before anybody asks for them',
      admits: access.toSites('publish'),
      body: pushOrderSchema,
      bodyLimitBytes: BODY_LIMIT_BYTES,
      answers: { 202: pushSchema },
      errors: [
        'conflict',
        'idempotency-mismatch',
        'upstream-invalid',
        'upstream-unreachable',
        'upstream-busy',
        'upstream-timeout',
      ],
    },
    async (request, reply) => {
      const by = request.token?.name ?? '';
      const take = async (id: string): Promise<PushRecord> => {
        const urls = await collectUrls(
          request.body,
          new SiteDirectory(journal.config.sites),
          (site) => mayReach(request, site),
          (of, maxBytes) => documents.read(of, maxBytes),
        );
        const ordered = await pushes.order(request.body, urls, by, id);
        wrote(request, [ordered]);
        return ordered;
      };
      const push = await orderKeys.once(
        identify(request.headers['idempotency-key']?.toString(), by, request.body),
        pushes.newId(),
        (id) => pushes.find(id),
        take,
      );
      reply.code(202).header('location', `/v1/pushes/${push.id}`);
      return shown((await pushes.find(push.id)) ?? push);
    },
  );

  route(
    app,
    {
      method: 'GET',
      path: '/v1/pushes',
      id: 'listPushes',
      summary: 'Pushes, latest first, without what failed',
      admits: access.toSites('read'),
      query: z.strictObject({ ...pageQuery }),
      answers: { 200: pageOf(pushSchema) },
    },
    async (request) => {
      const { limit, after } = request.query;
      const page = pageFrom(await pushes.latest(limit + 1, after), limit, ({ id }) => id);
      const within = page.items.filter((push) => reaches(request, push));
      return { ...page, items: within.map((push) => shown(push, false)) };
    },
  );

  route(
    app,
    {
      method: 'GET',
      path: '/v1/pushes/:id',
      id: 'getPush',
      summary: 'A push, once it has ended or the time to wait is over',
      admits: access.toSites('read'),
      params,
      query: waitQuerySchema,
      answers: { 200: pushSchema },
    },
    async (request, reply) => {
      const { id } = request.params;
      const push = reached(request, await pushes.find(id));
      return shown((await pushes.wait(id, request.query.waitMs, goneSignal(reply))) ?? push);
    },
  );

  route(
    app,
    {
      method: 'POST',
      path: '/v1/pushes/:id/cancel',
      id: 'cancelPush',
      summary: 'Fetch nothing more of a push',
      admits: access.toSites('publish'),
      params,
      answers: { 200: pushSchema },
      errors: ['conflict'],
    },
    async (request) => {
      const { id } = request.params;
      reached(request, await pushes.find(id));
      const { push, events } = await pushes.cancel(id);
      wrote(request, events);
      return shown(push);
    },
  );
}

function reached(
  request: FastifyRequest<{ Params: z.output<typeof params> }>,
  push: PushRecord | undefined,
): PushRecord {
  if (push !== undefined && reaches(request, push)) return push;
  throw new CanopyError('not-found', `There is no push "${request.params.id}"`);
}

const reaches = (request: Pick<FastifyRequest, 'token'>, { sites }: PushRecord): boolean =>
  sites.every((site) => mayReach(request, site));

/** A push as the API shows it: each node with how many objects it is to have. */
function shown(push: PushRecord, withFailures = true): object {
  const objects = push.urls * push.variants.length;
  const nodes = (push.nodes ?? []).map(({ failures, ...node }) => ({
    ...node,
    objects,
    failures: withFailures ? failures : [],
  }));
  // Those are the nodes' own.
  const { targets: _targets, ...rest } = push;
  return { ...rest, nodes };
}
