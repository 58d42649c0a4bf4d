import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { nameSchema, timestampSchema } from '#core/contract/names.ts';
import { CanopyError } from '#core/errors.ts';
import { digestOf, newSecret } from '../secrets.ts';
import { scopeSchema } from '../state/scopes.ts';
import type { TokenRecord } from '../state/token.ts';
import { entityTagOf, requireUnchanged, sendTagged } from './conditions.ts';
import { pageByName, pageOf, pageQuerySchema } from './pages.ts';
import { route } from './route.ts';
import type { Services } from './services.ts';

const LONGEST_LIFE_SECONDS = 10 * 365 * 86_400;
const LONGEST_OVERLAP_SECONDS = 30 * 86_400;

/** What a token may be asked for. */
const tokenRequestSchema = z
  .strictObject({
    name: nameSchema,
    scopes: z.array(scopeSchema).min(1),
    /** Left out: the whole network. */
    sites: z.array(nameSchema).min(1).max(1_000).optional(),
    /** Left out: it does not expire. */
    expiresInSeconds: z.int().min(1).max(LONGEST_LIFE_SECONDS).optional(),
  })
  .meta({ title: 'token' });

const rotationSchema = z
  .strictObject({
    /** How long the secret that is replaced is taken still. */
    overlapSeconds: z.int().min(0).max(LONGEST_OVERLAP_SECONDS).default(3_600),
    /** Left out: it expires when it did before. */
    expiresInSeconds: z.int().min(1).max(LONGEST_LIFE_SECONDS).optional(),
  })
  .meta({ title: 'rotation' });

/** A token as it is shown: never its secret, nor what would tell it. */
const tokenSchema = z.strictObject({
  name: nameSchema,
  scopes: z.array(scopeSchema),
  /** `null`: the whole network. */
  sites: z.array(nameSchema).nullable(),
  createdAt: timestampSchema,
  expiresAt: timestampSchema.nullable(),
  /** Until when the secret that the last rotation replaced is taken. */
  previousUntil: timestampSchema.nullable(),
});

/** Besides, the beginning of the hour in which it was used last. */
const usedTokenSchema = tokenSchema.extend({ lastUsedAt: timestampSchema.nullable() });

const secretAnswerSchema = tokenSchema.extend({ token: z.string() });

const params = z.strictObject({ name: nameSchema });

export function tokenRoutes(app: FastifyInstance, services: Services): void {
  const { access, clock, store, tokenUse } = services;
  const admits = access.toNetwork('admin');
  const find = async (name: string): Promise<TokenRecord> => {
    const token = (await store.tokens()).find((candidate) => candidate.name === name);
    if (token !== undefined) return token;
    throw new CanopyError('not-found', `There is no token "${name}"`);
  };
  const inSeconds = (seconds: number): number => clock.now() + seconds * 1000;

  route(
    app,
    {
      method: 'GET',
      path: '/v1/tokens',
      id: 'listTokens',
      summary: 'Every token, by name',
      admits,
      query: pageQuerySchema,
      answers: { 200: pageOf(usedTokenSchema) },
    },
    async ({ query }) => {
      const page = pageByName(await store.tokens(), query);
      const use = await tokenUse.all();
      const items = page.items.map((token) => withUse(token, use));
      return { ...page, items };
    },
  );

  route(
    app,
    {
      method: 'GET',
      path: '/v1/tokens/:name',
      id: 'getToken',
      summary: 'A token, without its secret',
      admits,
      params,
      answers: { 200: tokenSchema, 304: null },
      conditional: true,
    },
    async (request, reply) => sendTagged(request, reply, shown(await find(request.params.name))),
  );

  route(
    app,
    {
      method: 'POST',
      path: '/v1/tokens',
      id: 'createToken',
      summary: 'Make a token; its secret is shown this once',
      admits,
      body: tokenRequestSchema,
      answers: { 201: secretAnswerSchema },
      errors: ['conflict'],
    },
    async ({ body }, reply) => {
      const { name, scopes, sites = null, expiresInSeconds } = body;
      const secret = newSecret();
      const token: TokenRecord = {
        name,
        scopes,
        sites,
        digest: digestOf(secret),
        createdAt: clock.now(),
        expiresAt: expiresInSeconds === undefined ? null : inSeconds(expiresInSeconds),
        previous: null,
      };
      if (!(await store.addToken(token))) {
        throw new CanopyError('conflict', `There is a token "${name}" already`);
      }
      reply.code(201).header('etag', entityTagOf(shown(token)));
      return { ...shown(token), token: secret };
    },
  );

  route(
    app,
    {
      method: 'POST',
      path: '/v1/tokens/:name/rotate',
      id: 'rotateToken',
      summary: 'Give a token a new secret, shown this once; the old one is taken for a while',
      admits,
      params,
      body: rotationSchema,
      answers: { 200: secretAnswerSchema },
      errors: ['conflict'],
      conditional: true,
    },
    async (request, reply) => {
      const { overlapSeconds, expiresInSeconds } = request.body;
      const before = await find(request.params.name);
      requireUnchanged(request, shown(before));
      const secret = newSecret();
      const token: TokenRecord = {
        ...before,
        digest: digestOf(secret),
        expiresAt: expiresInSeconds === undefined ? before.expiresAt : inSeconds(expiresInSeconds),
        previous:
          overlapSeconds === 0 ? null : { digest: before.digest, until: inSeconds(overlapSeconds) },
      };
      if (!(await store.replaceToken(token, before.digest))) throw changedMeanwhile(before);
      reply.header('etag', entityTagOf(shown(token)));
      return { ...shown(token), token: secret };
    },
  );

  route(
    app,
    {
      method: 'DELETE',
      path: '/v1/tokens/:name',
      id: 'deleteToken',
      summary: 'Revoke a token',
      admits,
      params,
      answers: { 204: null },
      errors: ['conflict'],
      conditional: true,
    },
    async (request, reply) => {
      const token = await find(request.params.name);
      requireUnchanged(request, shown(token));
      if (!(await store.deleteToken(token.name, token.digest))) throw changedMeanwhile(token);
      await tokenUse.forget(token.name);
      return reply.code(204).send();
    },
  );
}

/** Between reading it and writing it; the one who asked has to look again. */
const changedMeanwhile = ({ name }: TokenRecord): CanopyError =>
  new CanopyError('conflict', `Token "${name}" was rotated or revoked at the same time`);

const shown = ({
  name,
  scopes,
  sites,
  createdAt,
  expiresAt,
  previous,
}: TokenRecord): z.output<typeof tokenSchema> => ({
  name,
  scopes: [...scopes],
  sites: sites && [...sites],
  createdAt,
  expiresAt,
  previousUntil: previous?.until ?? null,
});

const withUse = (
  token: TokenRecord,
  use: ReadonlyMap<string, number>,
): z.output<typeof usedTokenSchema> => ({
  ...shown(token),
  lastUsedAt: use.get(token.name) ?? null,
});
