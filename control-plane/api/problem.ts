import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { errorCodes, type FastifyError, type FastifyReply, type FastifyRequest } from 'fastify';
import { InvalidInput } from '#core/contract/validate.ts';
import { CanopyError, type ErrorCode, messageOf, RateExceeded } from '#core/errors.ts';

/** Fastify's own refusals that have a code of ours; its other 4xx are `invalid-request`. */
const CODES: Readonly<Record<string, ErrorCode>> = {
  [new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE().code]: 'content-too-large',
};

/** Problem details (RFC 9457) with the error's code, side and whether to try again. */
export function problemOf(error: CanopyError): object {
  const { code, title, status, side, retrySafe, message } = error;
  return {
    type: `urn:canopy:error:${code}`,
    title,
    status,
    // What failed inside is for the log, not for the client.
    detail: code === 'internal-error' ? title : message,
    code,
    side,
    retrySafe,
    ...(error instanceof InvalidInput ? { issues: error.issues } : {}),
  };
}

/** Answers any error as `application/problem+json`. */
export function sendProblem(thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const error = toCanopyError(thrown);
  if (error.status >= 500) request.log.error(thrown, messageOf(thrown));
  if (error instanceof RateExceeded) reply.header('retry-after', error.retryAfterSeconds);
  void reply
    .code(error.status)
    .type('application/problem+json')
    .send(Buffer.from(JSON.stringify(problemOf(error))));
}

export function notFound(request: FastifyRequest): never {
  throw new CanopyError('not-found', `There is no ${request.method} ${request.url}`);
}

/** Answers what is not even HTTP, and ends the connection. */
export function refuseConnection(error: Error & { readonly code: string }, socket: Socket): void {
  const tooLarge = error.code === 'HPE_HEADER_OVERFLOW';
  const problem = new CanopyError(tooLarge ? 'header-too-large' : 'invalid-request', error.message);
  const body = JSON.stringify(problemOf(problem));
  if (!socket.writable) return void socket.destroy();
  socket.end(
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\nContent-Type: application/problem+json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

function toCanopyError(thrown: unknown): CanopyError {
  if (thrown instanceof CanopyError) return thrown;
  const { statusCode, code } = thrown as Partial<FastifyError>;
  const ours = CODES[code ?? ''];
  if (ours !== undefined) return new CanopyError(ours, messageOf(thrown), { cause: thrown });
  const refused = statusCode !== undefined && statusCode >= 400 && statusCode < 500;
  return new CanopyError(refused ? 'invalid-request' : 'internal-error', messageOf(thrown), {
    cause: thrown,
  });
}
