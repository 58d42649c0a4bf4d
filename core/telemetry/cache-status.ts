import type { Try } from '#core/tree/tries.ts';
import type { Action, Decision, Reason } from '#core/cache/policy/decide.ts';

/** What one tier did with one request, in the words of `decide`. */
export interface Outcome {
  readonly action: Action;
  readonly reason: Reason;
  /** Seconds of freshness left, negative once stale. */
  readonly ttlSeconds: number | undefined;
  /** Status that a parent answered, if one was asked. */
  readonly forwardStatus: number | undefined;
  /** The answer came from a fill that another request had started. */
  readonly collapsed: boolean;
  /** The parent's answer is being stored. */
  readonly stored: boolean;
  /** Further cause, such as an error code or why an answer is not stored. */
  readonly detail: string | undefined;
  /** The parents that this node asked for it, in order. */
  readonly tries?: readonly Try[] | undefined;
}

/** Whether the answer came from the cache, without waiting for a parent. */
export const isHit = ({ action }: Outcome): boolean =>
  action === 'serve' || action === 'refresh-behind';

/** `fwd` of RFC 9211 §2.2 for each reason to go to a parent. */
const FORWARD_REASON: Partial<Record<Reason, string>> = {
  'uri-miss': 'uri-miss',
  'vary-miss': 'vary-miss',
  partial: 'partial',
  purged: 'miss',
  'fence-behind': 'miss',
  'soft-purged': 'stale',
  'lease-ended': 'stale',
  stale: 'stale',
  changed: 'stale',
  'no-cache': 'stale',
  request: 'request',
  'only-if-cached': 'request',
  method: 'method',
  upgrade: 'bypass',
  'request-content': 'bypass',
  'hit-for-miss': 'bypass',
};

/** `fwd` of RFC 9211 §2.2: why a parent was asked; `undefined` of what came from the cache or the node itself. */
export const forwardReason = (outcome: Outcome): string | undefined =>
  isHit(outcome) || outcome.action === 'refuse'
    ? undefined
    : (FORWARD_REASON[outcome.reason] ?? 'miss');

/** This tier's member of `Cache-Status`, RFC 9211. */
export function cacheStatus(node: string, outcome: Outcome): string {
  const parts = [/^[a-z]/.test(node) ? node : `"${node}"`];
  if (isHit(outcome)) parts.push('hit');
  else {
    parts.push(`fwd=${FORWARD_REASON[outcome.reason] ?? 'miss'}`);
    if (outcome.forwardStatus !== undefined) parts.push(`fwd-status=${outcome.forwardStatus}`);
  }
  if (outcome.ttlSeconds !== undefined) parts.push(`ttl=${outcome.ttlSeconds}`);
  if (outcome.stored) parts.push('stored');
  if (outcome.collapsed) parts.push('collapsed');
  const detail = outcome.detail ?? outcome.reason;
  parts.push(`detail=${detail}`);
  // Names of parents are nothing for clients.
  const tried = outcome.tries?.filter(({ reason }) => reason !== 'answered') ?? [];
  if (tried.length > 0) parts.push(`tried="${tried.map(({ reason }) => reason).join(' ')}"`);
  return parts.join('; ');
}

/** The outcome of what was decided, before it is carried out. */
export function decidedOutcome(decision: Decision): Outcome;
export function decidedOutcome(decision: Decision | undefined): Outcome | undefined;
export function decidedOutcome(decision: Decision | undefined): Outcome | undefined {
  if (decision === undefined) return undefined;
  return {
    action: decision.action,
    reason: decision.reason,
    ttlSeconds: decision.ttlSeconds,
    forwardStatus: undefined,
    collapsed: false,
    stored: false,
    detail: undefined,
  };
}
