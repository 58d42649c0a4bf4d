import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { sequenceSchema } from '#core/contract/names.ts';
import { validate } from '#core/contract/validate.ts';
import { CanopyError } from '#core/errors.ts';
import { withoutSecrets } from '../journal/redact.ts';
import type { Services } from './services.ts';

const querySchema = z.strictObject({
  after: z.coerce.number().pipe(sequenceSchema).default(0),
  limit: z.coerce.number().int().min(1).max(1_000).default(1_000),
});

export function journalRoutes(app: FastifyInstance, { access, journal }: Services): void {
  app.route({
    method: 'GET',
    url: '/v1/health',
    handler: async () => ({ status: 'ok', sequence: journal.config.sequence }),
  });

  app.route({
    method: 'GET',
    url: '/v1/journal',
    onRequest: access.toNetwork('read'),
    handler: async (request) => {
      const { after, limit } = validate(querySchema, request.query, 'query');
      const events = await journal.events(after, limit);
      if (events === undefined) {
        throw new CanopyError('not-found', `The journal no longer reaches back to ${after}`);
      }
      return events.map(withoutSecrets);
    },
  });
}
