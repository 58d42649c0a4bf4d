import type { CanopyError } from '#core/errors.ts';
import type { Fields } from '#core/http/fields.ts';

/** An error as an HTTP answer: problem details (RFC 9457) with the error's code. */
export interface Problem {
  readonly status: number;
  readonly fields: Fields;
  readonly body: Buffer;
}

/** What a site may be asked with; `Allow` of 405 has to say (RFC 9110 §15.5.6). */
export const ALLOWED_METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';

export function problemOf({ code, status, side, retrySafe, title, message }: CanopyError): Problem {
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
    ...(code === 'method-not-allowed' ? ['Allow', ALLOWED_METHODS] : []),
  ];
  return { status, fields, body };
}
