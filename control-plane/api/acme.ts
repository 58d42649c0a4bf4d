import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { nameSchema } from '#core/contract/names.ts';
import { CanopyError } from '#core/errors.ts';
import { authoritySchema, orderSchema, orderStateSchema } from '../certificates/acme/records.ts';
import { pageByName, pageOf, pageQuerySchema } from './pages.ts';
import { route } from './route.ts';
import type { Services } from './services.ts';

const params = z.strictObject({ name: nameSchema });

/** Certificates that the network orders itself. */
export function acmeRoutes(app: FastifyInstance, { access, acme }: Services): void {
  const configures = access.toNetwork('configure');

  route(
    app,
    {
      method: 'GET',
      path: '/v1/acme',
      id: 'getAcmeAuthority',
      summary: 'The authority that certificates are ordered from',
      admits: access.toNetwork('read'),
      answers: { 200: authoritySchema },
      errors: ['not-found'],
    },
    async () => {
      const authority = await acme.authority();
      if (authority !== undefined) return authority;
      throw new CanopyError('not-found', 'There is no authority to order from');
    },
  );

  route(
    app,
    {
      method: 'PUT',
      path: '/v1/acme',
      id: 'putAcmeAuthority',
      summary: 'Order certificates from this authority',
      admits: configures,
      body: authoritySchema.meta({ title: 'authority' }),
      answers: { 200: authoritySchema },
    },
    async ({ body }) => {
      await acme.setAuthority(body);
      return body;
    },
  );

  route(
    app,
    {
      method: 'GET',
      path: '/v1/acme/orders',
      id: 'listCertificateOrders',
      summary: 'Certificates that are ordered and renewed, and what has gone wrong',
      admits: access.toNetwork('read'),
      query: pageQuerySchema,
      answers: { 200: pageOf(orderStateSchema) },
    },
    async ({ query }) => pageByName(await acme.list(), query),
  );

  route(
    app,
    {
      method: 'PUT',
      path: '/v1/acme/orders/:name',
      id: 'orderCertificate',
      summary: 'Have a certificate ordered, now and again before it expires',
      admits: configures,
      params,
      body: orderSchema.meta({ title: 'order' }),
      answers: { 200: orderStateSchema },
      errors: ['conflict'],
    },
    async ({ params: { name }, body }) => acme.put(name, body),
  );

  route(
    app,
    {
      method: 'DELETE',
      path: '/v1/acme/orders/:name',
      id: 'cancelCertificateOrder',
      summary: 'Renew a certificate no more; it stays until it is deleted',
      admits: configures,
      params,
      answers: { 204: null },
    },
    async ({ params: { name } }, reply) => {
      if (await acme.delete(name)) return reply.code(204).send();
      throw new CanopyError('not-found', `No certificate "${name}" is ordered`);
    },
  );
}
