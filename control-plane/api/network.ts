import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { ROTATION_PHASES } from '../keys/rotation.ts';
import { route } from './route.ts';
import type { Services } from './services.ts';

const networkAnswerSchema = z.strictObject({ tierKeyRotation: z.enum(ROTATION_PHASES) });

export function networkRoutes(app: FastifyInstance, services: Services): void {
  const { access, tierKeyRotation } = services;
  const answer = () => ({ tierKeyRotation: tierKeyRotation.phase });

  route(
    app,
    {
      method: 'GET',
      path: '/v1/network',
      id: 'getNetwork',
      summary: 'What concerns the whole network',
      admits: access.toNetwork('read'),
      answers: { 200: networkAnswerSchema },
    },
    async () => answer(),
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
    },
    async (_, reply) => {
      await tierKeyRotation.begin();
      reply.code(202);
      return answer();
    },
  );
}
