import type { FastifyInstance } from 'fastify';
import { CanopyError } from '#core/errors.ts';
import { writeBackup } from '../state/backup.ts';
import { route } from './route.ts';
import type { Services } from './services.ts';

const MEDIA_TYPE = 'application/x-ndjson';

export function backupRoutes(app: FastifyInstance, { access, clock, store }: Services): void {
  route(
    app,
    {
      method: 'GET',
      path: '/v1/backup',
      id: 'getBackup',
      summary: 'All of the state, secrets of the network included',
      admits: access.toNetwork('admin'),
      revealing: true,
      answers: { 200: { mediaType: MEDIA_TYPE } },
      errors: ['not-found'],
    },
    async (_, reply) => {
      const content = await store.content();
      if (content === undefined) throw new CanopyError('not-found', 'The state is empty');
      reply.header('cache-control', 'no-store').type(MEDIA_TYPE);
      return writeBackup(content, clock.now());
    },
  );
}
