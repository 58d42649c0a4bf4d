import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { CanopyError } from '#core/errors.ts';
import { evaluatePreconditions, type PreconditionVerdict } from '#core/http/conditionals.ts';
import type { Journal } from '../journal/journal.ts';

/** Made of the content, so that all replicas give the same; strong (RFC 9110 §8.8.1). */
export const entityTagOf = (resource: object): string =>
  `"${createHash('sha256').update(JSON.stringify(resource)).digest('base64url').slice(0, 22)}"`;

/**
 * Refuses a change that was meant for another state of the resource.
 * @param present as it is when it is changed; `undefined` if there is none
 * @throws CanopyError `precondition-failed`
 */
export function requireUnchanged(request: FastifyRequest, present: object | undefined): void {
  if (verdictOn(request, present) === 'proceed') return;
  const found = present === undefined ? 'there is none' : `it is ${entityTagOf(present)}`;
  throw new CanopyError('precondition-failed', `${request.url} is not what was expected: ${found}`);
}

/**
 * Has what other control planes wrote taken over, where the request is about what is there: who was
 * told of it by one of them may ask another.
 */
export async function catchUpFor({ headers }: FastifyRequest, journal: Journal): Promise<void> {
  if ((headers['if-match'] ?? headers['if-none-match']) !== undefined) await journal.catchUp();
}

/**
 * Answers with the resource, unless the client has it already (RFC 9110 §13.1.2).
 * @param shown what people may read of it
 */
export function sendTagged(
  request: FastifyRequest,
  reply: FastifyReply,
  resource: object,
  shown = resource,
): FastifyReply {
  reply.header('etag', entityTagOf(resource));
  const verdict = verdictOn(request, resource);
  if (verdict === 'not-modified') return reply.code(304).send();
  if (verdict === 'precondition-failed') requireUnchanged(request, resource);
  return reply.send(shown);
}

function verdictOn(
  { method, headers }: FastifyRequest,
  resource: object | undefined,
): PreconditionVerdict {
  const fields = {
    method,
    ifMatch: headers['if-match'],
    ifNoneMatch: headers['if-none-match'],
  };
  return evaluatePreconditions(fields, resource && { etag: entityTagOf(resource) });
}
