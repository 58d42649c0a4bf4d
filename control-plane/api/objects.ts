import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type IncomingHttpHeaders, STATUS_CODES } from 'node:http';
import { finished, PassThrough, type Readable } from 'node:stream';
import { Agent, type Dispatcher, request as send } from 'undici';
import { z } from 'zod';
import { nameSchema } from '#core/contract/names.ts';
import type { Node } from '#core/contract/node.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import { TIER_FIELDS } from '#core/tree/tier-fields.ts';
import { pageOf, pageQuery } from './pages.ts';
import { route } from './route.ts';
import type { Services } from './services.ts';

/** Fields that mean the same to the origin as to us. */
const FORWARDED = [
  'accept',
  'cache-control',
  'content-length',
  'content-type',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'range',
] as const;

/** Fields of the origin's connection, not of its answer. */
const HOP_BY_HOP: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'transfer-encoding']);

/** How long one piece of content may take to move; a whole upload takes as long as it takes. */
const IDLE_TIMEOUT_MS = 60_000;

/** Content of push sites: passed through to the origin nodes, never held here. */
export function objectRoutes(
  app: FastifyInstance,
  { access, clock, journal, leases }: Services,
): void {
  const agent = new Agent({
    connect: { timeout: 2_000 },
    headersTimeout: 0,
    bodyTimeout: IDLE_TIMEOUT_MS,
  });
  app.addHook('onClose', () => agent.destroy());
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, body, done) => done(null, body));

  let lastWriteMs = 0;
  /** The same for all replicas, and later than any before. */
  const writtenAt = (): string => {
    lastWriteMs = Math.max(lastWriteMs + 1, clock.now());
    return String(lastWriteMs);
  };
  /** An origin out of service takes over what it missed before it serves again. */
  const written = async (origins: readonly Node[]): Promise<readonly Node[]> => {
    const { nodes } = await leases.survey();
    const inService = new Set(
      nodes.filter(({ remainingMs }) => remainingMs > 0).map(({ node }) => node),
    );
    const serving = origins.filter(({ name }) => inService.has(name));
    return serving.length > 0 ? serving : origins;
  };

  const forward = async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    const { network, nodes, sites } = journal.config;
    const { site } = request.params as z.output<typeof params>;
    if (!sites.some(({ name }) => name === site)) {
      throw new CanopyError('not-found', `There is no site "${site}"`);
    }
    const origins = nodes.filter(({ tier }) => tier === 'origin');
    const reads = request.method === 'GET' || request.method === 'HEAD';
    const exchange: Exchange = {
      agent,
      method: request.method,
      // As it came: decoding and encoding again could name another object.
      target: request.raw.url ?? '/',
      headers: {
        ...pick(request.headers),
        authorization: `Bearer ${network.publishKey ?? ''}`,
        ...(reads ? {} : { [TIER_FIELDS.writtenAt]: writtenAt() }),
      },
    };
    const answer = await (reads
      ? readFromAny(urls(origins), exchange)
      : writeToAll(urls(await written(origins)), exchange, request.body as Readable | undefined));
    return pass(answer, request, reply);
  };

  for (const { method, id, summary, scope, answers } of OBJECT_CALLS) {
    route(
      app,
      {
        method,
        path: '/v1/sites/:site/objects/*',
        id,
        summary,
        admits: access.toSites(scope),
        params: params.extend({ '*': z.string() }),
        ...(method === 'PUT' && { body: ANY_CONTENT }),
        answers,
        errors: ['upstream-unreachable'],
        conditional: true,
      },
      forward,
    );
  }
  route(
    app,
    {
      method: 'GET',
      path: '/v1/sites/:site/objects',
      id: 'listObjects',
      summary: 'Objects of a push site, by path',
      admits: access.toSites('read'),
      params,
      query: z.strictObject({ ...pageQuery, prefix: z.string().optional() }),
      answers: { 200: pageOf(objectSchema) },
      errors: ['upstream-unreachable'],
    },
    forward,
  );
}

const params = z.strictObject({ site: nameSchema });

const ANY_CONTENT = { mediaType: '*/*' };

/** As an origin node describes it. */
const objectSchema = z.strictObject({
  path: z.string(),
  etag: z.string(),
  size: z.int(),
  contentType: z.string(),
  cacheControl: z.string().optional(),
  /** An HTTP date. */
  lastModified: z.string(),
});

/** HEAD comes first, so that fastify makes none of its own for GET. */
const OBJECT_CALLS = [
  {
    method: 'HEAD',
    id: 'headObject',
    summary: 'The header section of an object',
    scope: 'read',
    answers: { 200: null, 206: null, 304: null, 416: null },
  },
  {
    method: 'GET',
    id: 'getObject',
    summary: 'An object, or ranges of it',
    scope: 'read',
    answers: { 200: ANY_CONTENT, 206: ANY_CONTENT, 304: null, 416: null },
  },
  {
    method: 'PUT',
    id: 'putObject',
    summary: 'Store an object at every origin in service',
    scope: 'publish',
    answers: { 200: objectSchema, 201: objectSchema },
  },
  {
    method: 'DELETE',
    id: 'deleteObject',
    summary: 'Remove an object',
    scope: 'publish',
    answers: { 204: null },
  },
] as const;

const urls = (origins: readonly Node[]): string[] => origins.map(({ url }) => url);

interface Exchange {
  readonly agent: Agent;
  readonly method: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
}

type Answer = Dispatcher.ResponseData;

/** The first origin node that can be reached and does not fail. */
async function readFromAny(origins: readonly string[], exchange: Exchange): Promise<Answer> {
  let failure: unknown = noOrigin();
  let failed: Answer | undefined;
  for (const origin of origins) {
    try {
      const answer = await ask(origin, exchange);
      await failed?.body.dump();
      if (answer.statusCode < 500) return answer;
      failed = answer;
    } catch (error) {
      failure = error;
    }
  }
  if (failed !== undefined) return failed;
  throw failure;
}

/** Every origin node in service takes the write, or the first refusal is the answer. */
async function writeToAll(
  origins: readonly string[],
  exchange: Exchange,
  body: Readable | undefined,
): Promise<Answer> {
  const bodies = body === undefined ? [] : share(body, origins.length);
  const outcomes = await Promise.allSettled(
    origins.map((origin, i) => ask(origin, exchange, bodies[i])),
  );
  // After an early refusal the client may still be sending.
  body?.resume();
  const answers = outcomes.flatMap((o) => (o.status === 'fulfilled' ? [o.value] : []));
  const unreachable = outcomes.find((outcome) => outcome.status === 'rejected');
  const chosen = answers.find(({ statusCode }) => statusCode >= 300) ?? answers[0];
  const failed = unreachable !== undefined && (chosen?.statusCode ?? 0) < 300;
  const unused = answers.filter((answer) => failed || answer !== chosen);
  await Promise.all(unused.map((answer) => answer.body.dump()));
  if (failed) throw unreachable.reason;
  return chosen ?? Promise.reject(noOrigin());
}

/** One stream for each of `count` readers, at the pace of the slowest; a cut upload is cut for all. */
function share(body: Readable, count: number): Readable[] {
  const shares = Array.from({ length: count }, () => body.pipe(new PassThrough()));
  finished(body, (error) => {
    if (error) for (const one of shares) one.destroy(error);
  });
  // undici destroys a share whose origin failed, and says so; the others go on.
  for (const one of shares) one.on('error', () => undefined);
  return shares;
}

async function ask(origin: string, exchange: Exchange, body?: Readable): Promise<Answer> {
  const { agent, method, target, headers } = exchange;
  try {
    return await send(new URL(target, origin), {
      dispatcher: agent,
      method,
      headers,
      body: body ?? null,
    });
  } catch (cause) {
    throw new CanopyError(
      'upstream-unreachable',
      `The origin at ${origin} failed: ${messageOf(cause)}`,
      { cause },
    );
  }
}

function pass(answer: Answer, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  reply.code(STATUS_CODES[answer.statusCode] === undefined ? 502 : answer.statusCode);
  for (const [name, value] of Object.entries(answer.headers)) {
    if (value !== undefined && !HOP_BY_HOP.has(name)) reply.header(name, value);
  }
  if (!request.raw.complete) reply.header('connection', 'close');
  return reply.send(answer.body);
}

function pick(headers: IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(
    FORWARDED.flatMap((name) => {
      const value = headers[name];
      return value === undefined ? [] : [[name, String(value)]];
    }),
  );
}

const noOrigin = (): CanopyError =>
  new CanopyError('unavailable', 'The network has no origin node to keep content');
