import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type IncomingHttpHeaders, STATUS_CODES } from 'node:http';
import { finished, PassThrough, Readable } from 'node:stream';
import { Agent, type Dispatcher, request as send } from 'undici';
import { z } from 'zod';
import type { Node } from '#core/contract/node.ts';
import { validate } from '#core/contract/validate.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import { TIER_FIELDS } from '#core/tree/tier-fields.ts';
import { pathsOf, PURGE_FIELD, publishedTargets } from '../purge/published.ts';
import { OBJECT_CALLS, type publishedQuery, type siteParams } from './object-calls.ts';
import { route } from './route.ts';
import type { Services } from './services.ts';

type Handler = (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>;

const missingSchema = z.object({ missing: z.array(z.string()) });

/** How forwarding itself fails, and how origins do. */
const FORWARDED_ERRORS = [
  'upstream-unreachable',
  'upstream-invalid',
  'insufficient-storage',
] as const;

/** Fields that mean the same to the origin as to us. */
const FORWARDED = [
  'accept',
  'cache-control',
  'content-digest',
  'content-length',
  'content-type',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'range',
  'repr-digest',
] as const;

/** Fields of the origin's connection, not of its answer. */
const HOP_BY_HOP: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'transfer-encoding']);

/** As it is in the target of a request for it. */
const OBJECT_PATH = /^\/v1\/sites\/[^/]*\/objects(\/[^?]*)/;

/** As much as origins read of a publication. */
const PUBLICATION_LIMIT_BYTES = 16 * 1024 * 1024;

/** How long one piece of content may take to move; a whole upload takes as long as it takes. */
const IDLE_TIMEOUT_MS = 60_000;

/** Content of push sites: passed through to the origin nodes, never held here. */
export function objectRoutes(
  app: FastifyInstance,
  { access, clock, journal, leases, purges }: Services,
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

  const exchangeOf = (request: FastifyRequest): Exchange & { origins: readonly Node[] } => {
    const { network, nodes, sites } = journal.config;
    const { site } = request.params as z.output<typeof siteParams>;
    if (!sites.some(({ name }) => name === site)) {
      throw new CanopyError('not-found', `There is no site "${site}"`);
    }
    const origins = nodes.filter(({ tier }) => tier === 'origin');
    const reads = request.method === 'GET' || request.method === 'HEAD';
    return {
      origins,
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
  };

  const read: Handler = async (request, reply) => {
    const { origins, ...exchange } = exchangeOf(request);
    return pass(await readFromAny(urls(origins), exchange), request, reply);
  };
  const writeToAll = async (
    request: FastifyRequest,
    body = request.body as Readable | undefined,
  ) => {
    const { origins, ...exchange } = exchangeOf(request);
    return askAll(urls(await written(origins)), exchange, body);
  };
  const write: Handler = async (request, reply) =>
    pass(await worstOf(await writeToAll(request)), request, reply);
  /** Also where only some of the origins have taken it: caches may have it from these. */
  const purge = async (
    request: FastifyRequest,
    reply: FastifyReply,
    answers: readonly (Answer | CanopyError)[],
    paths: () => readonly string[],
  ): Promise<void> => {
    const { purge: mode } = request.query as z.output<typeof publishedQuery>;
    const { site: name } = request.params as z.output<typeof siteParams>;
    const site = journal.config.sites.find((known) => known.name === name);
    const isTaken = answers.some((answer) => isWritten(answer, request.method));
    if (mode === 'none' || site === undefined || !isTaken) return;
    const targets = publishedTargets(site, paths());
    if (targets.length === 0) return;
    const order = { mode, by: request.token?.name ?? '', reason: 'published' };
    const { id, sequences } = await purges.orderTargets(targets, order);
    request.sequences = sequences;
    reply.header(PURGE_FIELD, id);
  };
  const writeObject: Handler = async (request, reply) => {
    const answers = await writeToAll(request);
    const path = (): string => OBJECT_PATH.exec(request.raw.url ?? '')?.[1] ?? '/';
    await purge(request, reply, answers, () => [path()]);
    return pass(await worstOf(answers), request, reply);
  };
  const publish: Handler = async (request, reply) => {
    const content = await wholeOf(request.body as Readable | undefined);
    const answers = await writeToAll(request, Readable.from([content]));
    await purge(request, reply, answers, () => pathsOf(content.toString()));
    return pass(await worstOf(answers), request, reply);
  };
  /** What is missing at one of the origins has to be put. */
  const missing: Handler = async (request, reply) => {
    const answers = await writeToAll(request);
    if (answers.some((answer) => answer instanceof CanopyError || answer.statusCode !== 200)) {
      return pass(await worstOf(answers), request, reply);
    }
    const lists = await Promise.all(answers.map(missingOf));
    return reply.send({ missing: [...new Set(lists.flat())] });
  };

  const handlers = { read, write, 'write object': writeObject, publish, missing };
  for (const { resource, scope, how, errors = [], ...call } of OBJECT_CALLS) {
    const declaration = {
      ...call,
      path: `/v1/sites/:site/${resource}`,
      admits: access.toSites(scope),
      errors: [...errors, ...FORWARDED_ERRORS],
    };
    route(app, declaration, handlers[how]);
  }
}

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

/** What each origin node in service answers, or why it gave no answer. */
async function askAll(
  origins: readonly string[],
  exchange: Exchange,
  body: Readable | undefined,
): Promise<readonly (Answer | CanopyError)[]> {
  if (origins.length === 0) throw noOrigin();
  const bodies = body === undefined ? [] : share(body, origins.length);
  const answers = await Promise.all(
    origins.map((origin, i) =>
      ask(origin, exchange, bodies[i]).catch((failure: CanopyError) => failure),
    ),
  );
  // After an early refusal the client may still be sending.
  body?.resume();
  return answers;
}

/** The first refusal, or that one gave no answer, or what all agree on. */
async function worstOf(outcomes: readonly (Answer | CanopyError)[]): Promise<Answer> {
  const isFailure = (outcome: Answer | CanopyError) => outcome instanceof CanopyError;
  const failure = outcomes.find(isFailure);
  const answers = outcomes.flatMap((outcome) => (isFailure(outcome) ? [] : [outcome]));
  const refusal = answers.find(({ statusCode }) => statusCode >= 300);
  const chosen = refusal ?? (failure === undefined ? answers[0] : undefined);
  const unused = answers.filter((answer) => answer !== chosen);
  await Promise.all(unused.map(({ body }) => body.dump()));
  if (chosen === undefined) throw failure ?? noOrigin();
  return chosen;
}

/** A delete that finds nothing may be one that is sent again. */
const isWritten = (answer: Answer | CanopyError, method: string): boolean =>
  !(answer instanceof CanopyError) &&
  (answer.statusCode < 300 || (method === 'DELETE' && answer.statusCode === 404));

/** @throws CanopyError `content-too-large` */
async function wholeOf(body: Readable | undefined): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of (body ?? []) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > PUBLICATION_LIMIT_BYTES) {
      const most = `At most ${PUBLICATION_LIMIT_BYTES} bytes are read`;
      throw new CanopyError('content-too-large', most);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function missingOf(answer: Answer | CanopyError): Promise<readonly string[]> {
  if (answer instanceof CanopyError) throw answer;
  return validate(missingSchema, await answer.body.json(), 'answer of an origin').missing;
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
