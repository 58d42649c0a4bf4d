import type { Answer } from '#core/cache/answer.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import { type Fields, fieldValue, hasField, withoutFields } from '#core/http/fields.ts';
import { parseDeltaSeconds } from '#core/http/directives.ts';
import { ALLOWED_METHODS, type ClientRequest } from '#core/http/request.ts';
import { formatDate } from '#core/http/dates.ts';
import { cacheStatus, type Outcome } from '#core/telemetry/cache-status.ts';
import { TIER_FIELDS } from '#core/tree/tier-fields.ts';
import { triesOf } from '#core/tree/walk.ts';
import type { Exchange, Sent } from './exchange.ts';
import { problemOf } from './problem.ts';

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
  const fields = signedFields(answer, signature);
  if (answer.tunnel !== undefined) return exchange.switchProtocols(fields, answer.tunnel);
  return exchange.respond(answer.status, fields, answer.content);
}

/** The answer's fields with what this tier says of it. */
export function signedFields(
  { fields: given, outcome, asOf }: Pick<Answer, 'fields' | 'outcome' | 'asOf'>,
  { node, toTier, now }: Signature,
): Fields {
  const own = cacheStatus(node, outcome);
  const before = fieldValue(given, 'cache-status');
  const via = fieldValue(given, 'via');
  const fields = withoutFields(given, (name) => name === 'cache-status' || name === 'via');
  if (!hasField(fields, 'date')) fields.push('Date', formatDate(now));
  fields.push('Via', via === undefined ? `1.1 ${node}` : `${via}, 1.1 ${node}`);
  fields.push('Cache-Status', before === undefined ? own : `${before}, ${own}`);
  if (toTier) fields.push(TIER_FIELDS.fence, String(asOf));
  return fields;
}

/** RFC 9112 §11.2: who sends what is malformed may mean something else by what comes next. */
const ENDS_CONNECTION: ReadonlySet<string> = new Set(['invalid-request', 'not-implemented']);

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
  const { status, fields, body } = problemOf(failure);
  return {
    status,
    fields: [
      ...fields,
      ...(ENDS_CONNECTION.has(failure.code) ? ['Connection', 'close'] : []),
      ...(toTier ? [TIER_FIELDS.error, failure.code] : []),
    ],
    content: [body],
    outcome: { ...(decided ?? REFUSED), detail: failure.code, tries: triesOf(error) },
    asOf: 0,
  };
}

/**
 * What a node says of itself, asked by OPTIONS: of the server as a whole, or as the last that the
 * request may reach (`Max-Forwards: 0`, RFC 9110 §7.6.2). Other requests go on.
 */
export function ownAnswer({ method, target, fields }: ClientRequest): Answer | undefined {
  if (method !== 'OPTIONS') return undefined;
  const isLast = parseDeltaSeconds(fieldValue(fields, 'max-forwards')) === 0;
  if (target !== '*' && !isLast) return undefined;
  return {
    status: 204,
    fields: ['Allow', ALLOWED_METHODS],
    content: [],
    outcome: { ...REFUSED, detail: isLast ? 'max-forwards' : 'server-options' },
    asOf: 0,
  };
}

/** Of what the node says by itself. */
export const REFUSED: Outcome = {
  action: 'refuse',
  reason: 'request',
  ttlSeconds: undefined,
  forwardStatus: undefined,
  collapsed: false,
  stored: false,
  detail: undefined,
};
