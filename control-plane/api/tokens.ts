import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { nameSchema, timestampSchema } from '#core/contract/names.ts';
import { CanopyError } from '#core/errors.ts';
import { digestOf, newSecret } from '../secrets.ts';
import { scopeSchema } from '../state/scopes.ts';
import type { TokenRecord } from '../state/store.ts';
import { pageByName, pageOf, pageQuerySchema } from './pages.ts';
import { route } from './route.ts';
import type { Services } from './services.ts';

/** What a token may be asked for. */
const tokenRequestSchema = z
  .strictObject({
    name: nameSchema,
    scopes: z.array(scopeSchema).min(1),
    /** Left out: the whole network. */
    sites: z.array(nameSchema).min(1).max(1_000).optional(),
  })
  .meta({ title: 'token' });

/** A token as it is shown: never its secret, nor what would tell it. */
const tokenSchema = z.strictObject({
  name: nameSchema,
  scopes: z.array(scopeSchema),
  /** `null`: the whole network. */
  sites: z.array(nameSchema).nullable(),
  createdAt: timestampSchema,
});

export function tokenRoutes(app: FastifyInstance, { access, clock, store }: Services): void {
  const admits = access.toNetwork('admin');

  route(
    app,
    {
      method: 'GET',
      path: '/v1/tokens',
      id: 'listTokens',
      summary: 'Every token, by name',
      admits,
      query: pageQuerySchema,
      answers: { 200: pageOf(tokenSchema) },
    },
    async ({ query }) => {
      const page = pageByName(await store.tokens(), query);
      return { ...page, items: page.items.map(shown) };
    },
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
      answers: { 201: z.strictObject({ name: nameSchema, token: z.string() }) },
      errors: ['conflict'],
    },
    async ({ body: { name, scopes, sites = null } }, reply) => {
      const token = newSecret();
      const record = { name, scopes, sites, digest: digestOf(token), createdAt: clock.now() };
      if (!(await store.addToken(record))) {
        throw new CanopyError('conflict', `There is a token "${name}" already`);
      }
      reply.code(201);
      return { name, token };
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
      params: z.strictObject({ name: nameSchema }),
      answers: { 204: null },
    },
    async ({ params: { name } }, reply) => {
      if (!(await store.deleteToken(name))) {
        throw new CanopyError('not-found', `There is no token "${name}"`);
      }
      return reply.code(204).send();
    },
  );
}

const shown = ({ name, scopes, sites, createdAt }: TokenRecord): z.output<typeof tokenSchema> => ({
  name,
  scopes: [...scopes],
  sites: sites && [...sites],
  createdAt,
});
