import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { nameSchema } from '#core/contract/names.ts';
import { validate } from '#core/contract/validate.ts';
import { CanopyError } from '#core/errors.ts';
import { digestOf, newSecret } from '../secrets.ts';
import { scopeSchema } from '../state/scopes.ts';
import type { Services } from './services.ts';

const tokenSchema = z.strictObject({
  name: nameSchema,
  scopes: z.array(scopeSchema).min(1),
  /** Left out: the whole network. */
  sites: z.array(nameSchema).min(1).max(1_000).optional(),
});

export function tokenRoutes(app: FastifyInstance, { access, clock, store }: Services): void {
  app.route({
    method: 'GET',
    url: '/v1/tokens',
    onRequest: access.toNetwork('admin'),
    handler: async () => {
      const tokens = await store.tokens();
      return tokens.map(({ name, scopes, sites, createdAt }) => ({
        name,
        scopes,
        sites,
        createdAt,
      }));
    },
  });

  app.route({
    method: 'POST',
    url: '/v1/tokens',
    onRequest: access.toNetwork('admin'),
    handler: async (request, reply) => {
      const { name, scopes, sites } = validate(tokenSchema, request.body, 'token');
      const token = newSecret();
      const record = {
        name,
        scopes,
        sites: sites ?? null,
        digest: digestOf(token),
        createdAt: clock.now(),
      };
      if (!(await store.addToken(record))) {
        throw new CanopyError('conflict', `There is a token "${name}" already`);
      }
      reply.code(201);
      return { name, token };
    },
  });

  app.route<{ Params: { readonly name: string } }>({
    method: 'DELETE',
    url: '/v1/tokens/:name',
    onRequest: access.toNetwork('admin'),
    handler: async (request, reply) => {
      const { name } = request.params;
      if (!(await store.deleteToken(name))) {
        throw new CanopyError('not-found', `There is no token "${name}"`);
      }
      return reply.code(204).send();
    },
  });
}
