import { type CanopyError, MethodNotAllowed, Refusal } from '#core/errors.ts';
import type { Fields } from '#core/http/fields.ts';

/** An error as an HTTP answer: problem details (RFC 9457) with the error's code. */
export interface Problem {
  readonly status: number;
  readonly fields: Fields;
  readonly body: Buffer;
}

/** What is too much for now may be fine in a moment. */
const TOO_MUCH: ReadonlySet<string> = new Set(['unavailable', 'upstream-busy']);
const RETRY_AFTER_SECONDS = '1';

export function problemOf(error: CanopyError): Problem {
  const { code, status, side, retrySafe, title, message } = error;
  // What went wrong inside is for the log, not for the world.
  const detail = side === 'client' ? message : title;
  const type = `urn:canopy:error:${code}`;
  const body = Buffer.from(
    `${JSON.stringify({ type, title, status, detail, code, side, retrySafe })}\n`,
  );
  const fields = [
    'Content-Type',
    'application/problem+json',
    'Content-Length',
    String(body.length),
    'Cache-Control',
    'no-store',
    ...(TOO_MUCH.has(code) ? ['Retry-After', RETRY_AFTER_SECONDS] : []),
    ...(error instanceof Refusal ? error.fields : []),
    ...(error instanceof MethodNotAllowed ? ['Allow', error.allowed] : []),
  ];
  return { status, fields, body };
}
