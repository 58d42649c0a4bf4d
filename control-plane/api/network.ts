import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { ROTATION_PHASES, type RotationPhase } from '../keys/rotation.ts';
import { wrote } from './audit.ts';
import { catchUpFor, entityTagOf, requireUnchanged, sendTagged } from './conditions.ts';
import { route } from './route.ts';
import type { Services } from './services.ts';

const networkAnswerSchema = z.strictObject({ tierKeyRotation: z.enum(ROTATION_PHASES) });

type NetworkAnswer = z.output<typeof networkAnswerSchema>;

const answerOf = (phase: RotationPhase): NetworkAnswer => ({ tierKeyRotation: phase });

export function networkRoutes(app: FastifyInstance, services: Services): void {
  const { access, journal, tierKeyRotation } = services;
  const answer = () => answerOf(tierKeyRotation.phase);

  route(
    app,
    {
      method: 'GET',
      path: '/v1/network',
      id: 'getNetwork',
      summary: 'What concerns the whole network',
      admits: access.toNetwork('read'),
      answers: { 200: networkAnswerSchema, 304: null },
      conditional: true,
    },
    async (request, reply) => sendTagged(request, reply, answer()),
  );

  route(
    app,
    {
      method: 'POST',
      path: '/v1/network/rotate-tier-key',
      id: 'rotateTierKey',
      summary: 'Replace the secret that nodes know one another by',
      admits: access.toNetwork('admin'),
      answers: { 202: networkAnswerSchema },
      errors: ['conflict'],
      conditional: true,
    },
    async (request, reply) => {
      await catchUpFor(request, journal);
      const events = await tierKeyRotation.begin((phase) =>
        requireUnchanged(request, answerOf(phase)),
      );
      wrote(request, events);
      reply.code(202).header('etag', entityTagOf(answer()));
      return answer();
    },
  );
}
