import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { journalEventSchema } from '#core/contract/event.ts';
import { sequenceSchema } from '#core/contract/names.ts';
import { CanopyError } from '#core/errors.ts';
import { withoutSecrets } from '../journal/redact.ts';
import { anyone } from './access.ts';
import { pageFrom, pageOf, pageQuery } from './pages.ts';
import { route } from './route.ts';
import type { Services } from './services.ts';

export function journalRoutes(app: FastifyInstance, { access, journal }: Services): void {
  route(
    app,
    {
      method: 'GET',
      path: '/v1/health',
      id: 'getHealth',
      summary: 'Whether the control plane answers, and how far its journal is',
      admits: anyone,
      answers: { 200: z.strictObject({ status: z.literal('ok'), sequence: sequenceSchema }) },
    },
    async () => ({ status: 'ok', sequence: journal.config.sequence }),
  );

  route(
    app,
    {
      method: 'GET',
      path: '/v1/journal',
      id: 'listEvents',
      summary: 'What happened, oldest first',
      admits: access.toNetwork('read'),
      query: z.strictObject({
        ...pageQuery,
        /** Events of later sequences. */
        after: z.coerce.number().pipe(sequenceSchema).default(0),
      }),
      answers: { 200: pageOf(journalEventSchema) },
      errors: ['not-found'],
    },
    async ({ query }) => {
      const events = await journal.events(query.after, query.limit + 1);
      if (events === undefined) {
        throw new CanopyError('not-found', `The journal no longer reaches back to ${query.after}`);
      }
      return pageFrom(events.map(withoutSecrets), query.limit, ({ sequence }) => String(sequence));
    },
  );
}
