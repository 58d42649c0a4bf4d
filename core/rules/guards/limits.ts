import type { Concurrency, NegativeLookups, RateLimit } from '#core/contract/rules/guards.ts';
import type { Quota } from '#core/limits/sliding-windows.ts';
import { type Identify, identifier, needsToken } from './traits.ts';

/** A limit made ready: rules of one site with the same settings count together. */
interface Limit {
  /** What tells it from other limits of its site. */
  readonly id: string;
  readonly identify: Identify;
}

export interface RateLimiter extends Limit {
  readonly settings: RateLimit;
  readonly quota: Quota;
  /** Decided only when the token has been checked. */
  readonly needsToken: boolean;
  /** `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10). */
  readonly policyField: string;
}

export interface ConcurrencyLimiter extends Limit {
  readonly requests: number;
}

export interface LookupLimiter extends Limit {
  readonly quota: Quota;
  readonly banMs: number;
}

export function rateLimiter(settings: RateLimit): RateLimiter {
  const { name, requests, windowSeconds, by, scope } = settings;
  return {
    id: JSON.stringify(['rate', name, requests, windowSeconds, by, scope]),
    identify: identifier(by),
    settings,
    quota: { requests, windowMs: windowSeconds * 1000 },
    needsToken: needsToken(by),
    policyField: `"${name}";q=${requests};w=${windowSeconds}`,
  };
}

export const concurrencyLimiter = ({ requests, by }: Concurrency): ConcurrencyLimiter => ({
  id: JSON.stringify(['concurrency', requests, by]),
  identify: identifier(by),
  requests,
});

export function lookupLimiter({
  distinct,
  windowSeconds,
  by,
  banSeconds,
}: NegativeLookups): LookupLimiter {
  return {
    id: JSON.stringify(['lookups', distinct, windowSeconds, by, banSeconds]),
    identify: identifier(by),
    quota: { requests: distinct, windowMs: windowSeconds * 1000 },
    banMs: banSeconds * 1000,
  };
}
