import type { FastifyInstance } from 'fastify';
import { CanopyError } from '#core/errors.ts';
import { writeBackup } from '../state/backup.ts';
import type { Services } from './services.ts';

export function backupRoutes(app: FastifyInstance, { access, clock, store }: Services): void {
  app.route({
    method: 'GET',
    url: '/v1/backup',
    onRequest: access.toNetwork('admin'),
    handler: async (_, reply) => {
      const content = await store.content();
      if (content === undefined) throw new CanopyError('not-found', 'The state is empty');
      reply.header('cache-control', 'no-store').type('application/x-ndjson');
      return writeBackup(content, clock.now());
    },
  });
}
