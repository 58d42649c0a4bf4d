import { createHash, timingSafeEqual } from 'node:crypto';
import type { Logger } from 'pino';
import type { Clock } from '#core/clock.ts';
import type { Network } from '#core/contract/event.ts';
import { nameSchema } from '#core/contract/names.ts';
import { validate } from '#core/contract/validate.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import { formatDate } from '#core/http/dates.ts';
import { fieldValue, hasField } from '#core/http/fields.ts';
import { MAX_TARGET_LENGTH } from '#core/http/request.ts';
import { normalizePath } from '#core/http/target.ts';
import type { Exchange } from '#core/serving/exchange.ts';
import { TIER_FIELDS } from '#core/tree/tier-fields.ts';
import { type Answer, jsonAnswer, problemAnswer } from './answer.ts';
import { contentAnswer } from './content.ts';
import { apiAnswer } from './object-api.ts';
import type { ObjectStore } from './object-store.ts';

export interface OriginOptions {
  readonly store: ObjectStore;
  /** The keys as of now. */
  readonly network: () => Network;
  readonly clock: Clock;
  readonly log: Logger;
}

const TIER_KEY = TIER_FIELDS.key.toLowerCase();
const SITE = TIER_FIELDS.site.toLowerCase();
const HEALTH_TARGET = '/.canopy/health';

/** Answers one request. @returns the answer's status, and bytes of content sent */
export async function handleRequest(
  origin: OriginOptions,
  exchange: Exchange,
): Promise<{ status: number; bytes: number }> {
  const fromTier = hasField(exchange.received.fields, TIER_KEY);
  let answer: Answer;
  try {
    answer = await (fromTier ? tierAnswer(origin, exchange) : otherAnswer(origin, exchange));
  } catch (error) {
    logFailure(origin.log, error, exchange);
    answer = problemAnswer(error, fromTier);
  }
  const { status, fields, content } = answer;
  const dated = hasField(fields, 'date')
    ? fields
    : ['Date', formatDate(origin.clock.now()), ...fields];
  const isHead = exchange.received.method === 'HEAD';
  const sent = await exchange.respond(status, dated, isHead ? [] : content);
  if (sent.end === 'broken') origin.log.error(`Content broke off: ${exchange.received.target}`);
  return { status, bytes: sent.bytes };
}

/** Content, for nodes of this network. */
async function tierAnswer({ store, network, clock }: OriginOptions, { received }: Exchange) {
  const { method, target, fields } = received;
  if (!isSecret(fieldValue(fields, TIER_KEY), network().tierKey)) throw notServed();
  checkLength(target);
  const site = validate(nameSchema, fieldValue(fields, SITE), TIER_FIELDS.site);
  const path = normalizePath(target.split('?', 1)[0] ?? '');
  if (path === undefined) {
    throw new CanopyError('invalid-request', `The path is malformed: ${target}`);
  }
  return contentAnswer(store, { method, site, path, fields, now: clock.now() });
}

async function otherAnswer(origin: OriginOptions, { received, content }: Exchange) {
  const { method, target, fields } = received;
  if (target === HEALTH_TARGET && (method === 'GET' || method === 'HEAD')) {
    return jsonAnswer(200, { status: 'ok' });
  }
  const token = /^bearer +(\S+)$/i.exec(fieldValue(fields, 'authorization') ?? '')?.[1];
  if (!isSecret(token, origin.network().publishKey)) throw notServed();
  checkLength(target);
  return apiAnswer(origin.store, { method, target, fields, content, now: origin.clock.now() });
}

const notServed = (): CanopyError =>
  new CanopyError('forbidden', 'Only nodes of this network and its publishers are served here');

function checkLength(target: string): void {
  if (target.length <= MAX_TARGET_LENGTH) return;
  throw new CanopyError(
    'uri-too-long',
    `The request target has ${target.length} characters, at most ${MAX_TARGET_LENGTH} are read`,
  );
}

/** Compares in a time that tells nothing of the secret, nor of its length. */
function isSecret(presented: string | undefined, secret: string | undefined): boolean {
  if (presented === undefined || secret === undefined) return false;
  return timingSafeEqual(sha256(presented), sha256(secret));
}

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();

/** What is the client's doing is told to the client only. */
function logFailure(log: Logger, error: unknown, { received, signal }: Exchange): void {
  if ((error instanceof CanopyError && error.side === 'client') || signal.aborted) return;
  const cause = error instanceof CanopyError && error.cause !== undefined ? error.cause : error;
  log.error({ err: cause }, `${received.method} ${received.target}: ${messageOf(error)}`);
}
