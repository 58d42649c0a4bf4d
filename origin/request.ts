import { Readable } from 'node:stream';
import type { Logger } from 'pino';
import type { Clock } from '#core/clock.ts';
import type { Network } from '#core/contract/event.ts';
import { nameSchema } from '#core/contract/names.ts';
import { validate } from '#core/contract/validate.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import { formatDate } from '#core/http/dates.ts';
import { parseDeltaSeconds } from '#core/http/directives.ts';
import { fieldValue, hasField } from '#core/http/fields.ts';
import { MAX_TARGET_LENGTH } from '#core/http/request.ts';
import { normalizePath } from '#core/http/target.ts';
import type { Exchange } from '#core/serving/exchange.ts';
import { TIER_FIELDS } from '#core/tree/tier-fields.ts';
import { isSecret, isTierKey } from '#core/tree/tier-key.ts';
import { type Answer, problemAnswer } from './answer.ts';
import { contentAnswer, type ContentRequest } from './content.ts';
import { apiAnswer } from './api.ts';
import type { ObjectStore } from './object-store.ts';
import type { Releases } from './releases.ts';

export interface OriginOptions {
  readonly store: ObjectStore;
  /** The keys as of now. */
  readonly network: () => Network;
  readonly clock: Clock;
  readonly log: Logger;
  readonly releases: Releases;
  /** Whether this origin has all of a site that there was when the journal was at `sequence`; waits for it a while. */
  readonly reachesFence: (sequence: number, site: string) => Promise<boolean>;
}

const TIER_KEY = TIER_FIELDS.key.toLowerCase();
const FENCE = TIER_FIELDS.fence.toLowerCase();
const SITE = TIER_FIELDS.site.toLowerCase();

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
async function tierAnswer(origin: OriginOptions, { received }: Exchange) {
  const { network, reachesFence } = origin;
  const { method, target, fields } = received;
  if (!isTierKey(fieldValue(fields, TIER_KEY), network())) throw notServed();
  checkLength(target);
  const site = validate(nameSchema, fieldValue(fields, SITE), TIER_FIELDS.site);
  const fence = parseDeltaSeconds(fieldValue(fields, FENCE)) ?? 0;
  if (!(await reachesFence(fence, site))) {
    // What was published since may have reached the other replicas only.
    throw new CanopyError('unavailable', `This origin has not heard of event ${fence} yet`);
  }
  const path = normalizePath(target.split('?', 1)[0] ?? '');
  if (path === undefined) {
    throw new CanopyError('invalid-request', `The path is malformed: ${target}`);
  }
  return vouchedAnswer(origin, { method, site, path, fields, now: origin.clock.now() });
}

/** Content, or its absence, with the release that it is of, so that whoever has not heard of that one knows. */
async function vouchedAnswer(
  { store, releases }: OriginOptions,
  request: ContentRequest,
): Promise<Answer> {
  for (;;) {
    const vouched = releases.vouched(request.site);
    const answer = await contentAnswer(store, request).catch((error: unknown) => {
      if (!(error instanceof CanopyError) || error.code !== 'not-found') throw error;
      return problemAnswer(error, true);
    });
    if (releases.vouched(request.site) !== vouched) {
      // Switched meanwhile: this may be of either.
      if (answer.content instanceof Readable) answer.content.destroy();
      continue;
    }
    if (vouched === undefined) return answer;
    return { ...answer, fields: [...answer.fields, TIER_FIELDS.fence, String(vouched)] };
  }
}

async function otherAnswer(origin: OriginOptions, { received, content }: Exchange) {
  const { method, target, fields } = received;
  const token = /^bearer +(\S+)$/i.exec(fieldValue(fields, 'authorization') ?? '')?.[1];
  if (!isSecret(token, origin.network().publishKey)) throw notServed();
  checkLength(target);
  return apiAnswer(origin, { method, target, fields, content, now: origin.clock.now() });
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

/** What is the client's doing is told to the client only. */
function logFailure(log: Logger, error: unknown, { received, signal }: Exchange): void {
  if ((error instanceof CanopyError && error.side === 'client') || signal.aborted) return;
  const cause = error instanceof CanopyError && error.cause !== undefined ? error.cause : error;
  log.error({ err: cause }, `${received.method} ${received.target}: ${messageOf(error)}`);
}
