import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { JournalEvent } from '#core/contract/event.ts';
import type { ErrorCode } from '#core/errors.ts';
import { TokenBucket } from '#core/token-bucket.ts';
import { auditEntrySchema } from '../audit.ts';
import type { ConfigVersion } from '../config/version.ts';
import { pageFrom, pageOf, pageQuerySchema } from './pages.ts';
import { route } from './route.ts';
import type { Services } from './services.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Of the events that the request wrote. */
    sequences: readonly number[];
    /** Why it was refused. */
    refusal: ErrorCode | undefined;
  }
}

/** Says for the audit log which events a request wrote. @returns the sequence of the last, if there is one */
export function wrote(
  request: FastifyRequest,
  events: readonly Pick<JournalEvent, 'sequence'>[],
): number | undefined {
  request.sequences = events.map(({ sequence }) => sequence);
  return request.sequences.at(-1);
}

/** The same of a version of the sites. */
export function wroteVersion(
  request: FastifyRequest,
  version: Pick<ConfigVersion, 'sequence' | 'appliedSequence'> | undefined,
): number | undefined {
  if (version === undefined) return undefined;
  return wrote(request, [{ sequence: version.appliedSequence ?? version.sequence }]);
}

/** Entries about those who are nobody: so many, lest they drive all others out. */
const STRANGERS = { perSecond: 1, burst: 100 };

const LONGEST_PATH = 1_024;

/** Has every call that changes something written down, before it is answered. */
export function keepAudit(app: FastifyInstance, { audit, clock }: Services): void {
  const strangers = new TokenBucket(clock, STRANGERS);
  app.decorateRequest('sequences');
  app.decorateRequest('refusal', undefined);
  app.addHook('onRequest', async (request) => void (request.sequences = []));
  app.addHook('onSend', async (request, { statusCode }) => {
    const { declaration } = request.routeOptions.config;
    if (declaration === undefined || !isAudited(request)) return;
    const { id, token, address, method, refusal = null, sequences } = request;
    // What is refused for its rate is counted, not told one by one.
    if (refusal === 'too-many-requests') return;
    if (token === undefined && strangers.take(1, STRANGERS) > 0) return;
    await audit.add({
      id,
      at: clock.now(),
      token: token?.name ?? null,
      address,
      method,
      route: declaration.path,
      path: (request.url.split('?', 1)[0] ?? '').slice(0, LONGEST_PATH),
      status: statusCode,
      code: refusal,
      sequences: [...sequences],
    });
  });
}

/** What nodes report all the time is no change that somebody made. */
function isAudited({ method, routeOptions }: FastifyRequest): boolean {
  const { declaration } = routeOptions.config;
  if (declaration === undefined || declaration.admits.who === 'node') return false;
  if (method === 'GET' || method === 'HEAD') return declaration.revealing === true;
  return declaration.changesNothing !== true;
}

export function auditRoutes(app: FastifyInstance, { access, audit }: Services): void {
  route(
    app,
    {
      method: 'GET',
      path: '/v1/audit',
      id: 'listAuditEntries',
      summary: 'Who changed what, latest first',
      admits: access.toNetwork('admin'),
      query: pageQuerySchema,
      answers: { 200: pageOf(auditEntrySchema) },
    },
    async ({ query: { limit, after } }) =>
      pageFrom(await audit.list({ limit: limit + 1, after }), limit, ({ id }) => id),
  );
}
