import type { Answer } from '#core/cache/answer.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import { fieldValue, type Fields, hasField, withoutFields } from '#core/http/fields.ts';
import { formatDate } from '#core/http/dates.ts';
import { cacheStatus, type Outcome } from '#core/telemetry/cache-status.ts';
import { TIER_FIELDS } from '#core/tree/tier-fields.ts';
import type { Exchange, Sent } from './exchange.ts';

/** How a tier signs what it sends. */
export interface Signature {
  readonly node: string;
  /** To another node: the answer's fence goes along, and our own failures are marked as such. */
  readonly toTier: boolean;
  /** Wall time, for answers that carry no `Date` of their own (RFC 9110 §6.6.1). */
  readonly now: number;
}

/** Adds what this tier says of the answer, and sends it. */
export function deliver(exchange: Exchange, answer: Answer, signature: Signature): Promise<Sent> {
  const { node, toTier, now } = signature;
  const own = cacheStatus(node, answer.outcome);
  const before = fieldValue(answer.fields, 'cache-status');
  const via = fieldValue(answer.fields, 'via');
  const fields = withoutFields(answer.fields, (name) => name === 'cache-status' || name === 'via');
  if (!hasField(fields, 'date')) fields.push('Date', formatDate(now));
  fields.push('Via', via === undefined ? `1.1 ${node}` : `${via}, 1.1 ${node}`);
  fields.push('Cache-Status', before === undefined ? own : `${before}, ${own}`);
  if (toTier) fields.push(TIER_FIELDS.fence, String(answer.asOf));
  return exchange.respond(answer.status, fields, answer.content);
}

/**
 * The answer to a request that failed here: problem details (RFC 9457) with the error's code.
 * @param decided what had been decided by then, if anything
 */
export function failureAnswer(
  error: unknown,
  decided: Outcome | undefined,
  toTier: boolean,
): Answer {
  const failure =
    error instanceof CanopyError
      ? error
      : new CanopyError('internal-error', messageOf(error), { cause: error });
  const { code, status, side, retrySafe, title } = failure;
  // What went wrong inside is for the log, not for the world.
  const detail = side === 'client' ? failure.message : title;
  const body = Buffer.from(
    `${JSON.stringify({ type: `urn:canopy:error:${code}`, title, status, detail, code, side, retrySafe })}\n`,
  );
  const fields: Fields = [
    'Content-Type',
    'application/problem+json',
    'Content-Length',
    String(body.length),
    'Cache-Control',
    'no-store',
    ...(code === 'unavailable' ? ['Retry-After', RETRY_AFTER_SECONDS] : []),
    ...(toTier ? [TIER_FIELDS.error, code] : []),
  ];
  return {
    status,
    fields,
    content: [body],
    outcome: { ...(decided ?? REFUSED), detail: code },
    asOf: 0,
  };
}

const RETRY_AFTER_SECONDS = '1';

const REFUSED: Outcome = {
  action: 'refuse',
  reason: 'request',
  ttlSeconds: undefined,
  forwardStatus: undefined,
  collapsed: false,
  stored: false,
  detail: undefined,
};
