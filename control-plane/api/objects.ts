import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type IncomingHttpHeaders, STATUS_CODES } from 'node:http';
import { Readable } from 'node:stream';
import { z } from 'zod';
import { validate } from '#core/contract/validate.ts';
import { CanopyError } from '#core/errors.ts';
import { type OriginAnswer, type OriginRequest, worstOf } from '../origins.ts';
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

/** Content of push sites: passed through to the origin nodes, never held here. */
export function objectRoutes(
  app: FastifyInstance,
  { access, journal, origins, purges }: Services,
): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, body, done) => done(null, body));

  const askedOf = (request: FastifyRequest): OriginRequest => {
    const { site } = request.params as z.output<typeof siteParams>;
    if (!journal.config.sites.some(({ name }) => name === site)) {
      throw new CanopyError('not-found', `There is no site "${site}"`);
    }
    return {
      method: request.method,
      // As it came: decoding and encoding again could name another object.
      target: request.raw.url ?? '/',
      headers: pick(request.headers),
    };
  };

  const read: Handler = async (request, reply) =>
    pass(await origins.read(askedOf(request)), request, reply);
  const writeToAll = (request: FastifyRequest, body = request.body as Readable | undefined) =>
    origins.write({ ...askedOf(request), body });
  const write: Handler = async (request, reply) =>
    pass(await worstOf(await writeToAll(request)), request, reply);
  /** Also where only some of the origins have taken it: caches may have it from these. */
  const purge = async (
    request: FastifyRequest,
    reply: FastifyReply,
    answers: readonly (OriginAnswer | CanopyError)[],
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

/** A delete that finds nothing may be one that is sent again. */
const isWritten = (answer: OriginAnswer | CanopyError, method: string): boolean =>
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

async function missingOf(answer: OriginAnswer | CanopyError): Promise<readonly string[]> {
  if (answer instanceof CanopyError) throw answer;
  return validate(missingSchema, await answer.body.json(), 'answer of an origin').missing;
}

function pass(answer: OriginAnswer, request: FastifyRequest, reply: FastifyReply): FastifyReply {
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
