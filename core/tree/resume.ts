import { type Fields, fieldValue } from '#core/http/fields.ts';
import type { UpstreamResponse } from './attempt.ts';

/** Continuations of one body; a transfer that breaks more often than this is given up. */
const MAX_RESUMES = 8;

/**
 * `response`, whose body, should it break off, is continued from another answer by `Range` and
 * `If-Range` on its strong validator (RFC 9110 §13.1.5, §14.2). Where that cannot be done the body
 * throws what broke it, so that it is never taken for complete.
 * @param askAgain sends the same request with further fields
 */
export function resuming(
  response: UpstreamResponse,
  askAgain: (fields: Fields) => Promise<UpstreamResponse>,
): UpstreamResponse {
  const etag = fieldValue(response.fields, 'etag');
  if (response.status !== 200 || etag === undefined || !etag.startsWith('"')) return response;
  let current = response;
  let discarded = false;

  async function* body(validator: string): AsyncGenerator<Buffer, void, undefined> {
    let received = 0;
    for (let resumes = 0; ; resumes++) {
      let broken: unknown;
      try {
        for await (const chunk of current.body) {
          received += chunk.length;
          yield chunk;
        }
        return;
      } catch (error) {
        broken = error;
      }
      if (discarded || resumes === MAX_RESUMES) throw broken;
      const continuation = await askAgain([
        'Range',
        `bytes=${received}-`,
        'If-Range',
        validator,
      ]).catch(() => undefined);
      if (continuation === undefined) throw broken;
      if (!continues(continuation, received, validator)) {
        continuation.discard();
        throw broken;
      }
      current = continuation;
    }
  }

  return {
    ...response,
    body: body(etag),
    discard: () => {
      discarded = true;
      current.discard();
    },
  };
}

function continues({ status, fields }: UpstreamResponse, from: number, etag: string): boolean {
  return (
    status === 206 &&
    fieldValue(fields, 'etag') === etag &&
    fieldValue(fields, 'content-range')?.startsWith(`bytes ${from}-`) === true
  );
}
