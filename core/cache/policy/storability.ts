import type { CacheSettings } from '#core/contract/cache-settings.ts';
import { freshness, staleWindows } from './freshness.ts';
import type { ResponseFacts } from './response.ts';

/** Why a response may be stored, or why not. */
export type Storability =
  | 'storable'
  /** Only GET is stored; HEAD is answered from it. */
  | 'method'
  /** A partial or conditional answer is not an object of its own. */
  | 'status'
  /** `must-understand` on a status whose caching rules are not known here, RFC 9111 §5.2.2.3. */
  | 'must-understand'
  | 'no-store'
  | 'private'
  /** The request was authorized and the origin did not allow sharing, RFC 9111 §3.5. */
  | 'authorization'
  /** A cookie is for one client. */
  | 'set-cookie'
  /** `Vary: *` can never match, RFC 9111 §4.1. */
  | 'vary-any'
  /** No freshness, no validator, no stale window: it could never be used again. */
  | 'no-reuse'
  | 'too-large'
  /** More tags, or a longer one, than are kept: a purge of a tag could miss it. */
  | 'too-many-tags'
  /** An operator has banned it. */
  | 'banned'
  /** Fills under way take all the memory meant for them. */
  | 'no-room';

/** What storability asks of the request that a response answers. */
export interface StorabilityRequest {
  readonly method: string;
  readonly authorized: boolean;
}

/** Statuses whose caching is understood, for `must-understand`: RFC 9110 §15 as of now. */
const UNDERSTOOD: ReadonlySet<number> = new Set([
  200, 203, 204, 300, 301, 302, 303, 307, 308, 404, 405, 410, 414, 501,
]);

/** RFC 9111 §3, in its order, then what prudence adds. */
export function storability(
  request: StorabilityRequest,
  facts: ResponseFacts,
  contentLength: number | undefined,
  settings: CacheSettings,
): Storability {
  const { directives, status } = facts;
  if (request.method !== 'GET' && request.method !== 'HEAD') return 'method';
  if (status < 200 || status === 206 || status === 304 || status === 416) return 'status';
  if (directives.mustUnderstand) {
    // §5.2.2.3: it also overrides no-store where the status is understood.
    if (!UNDERSTOOD.has(status)) return 'must-understand';
  } else if (directives.noStore) return 'no-store';
  if (directives.private) return 'private';
  if (request.authorized && !(settings.storeAuthorized && sharingAllowed(facts))) {
    return 'authorization';
  }
  if (facts.setsCookie && !(settings.storeSetCookie && sharingMeant(facts))) return 'set-cookie';
  if (facts.vary.includes('*')) return 'vary-any';
  if (contentLength !== undefined && contentLength > settings.maxObjectBytes) return 'too-large';
  if (facts.tags === undefined) return 'too-many-tags';
  return reusable(facts, settings) ? 'storable' : 'no-reuse';
}

/** RFC 9111 §3.5. */
function sharingAllowed({ directives }: ResponseFacts): boolean {
  return directives.public || directives.mustRevalidate || directives.sMaxageSeconds !== undefined;
}

/**
 * The origin had caches in mind, and so its cookie is for everybody: it says for how long, or that
 * they are public. A lifetime of nothing says the contrary.
 */
function sharingMeant({ directives, targeted, expiresMs, dateMs }: ResponseFacts): boolean {
  const { sMaxageSeconds, maxAgeSeconds } = directives;
  if (directives.public || targeted || sMaxageSeconds !== undefined) return true;
  if (maxAgeSeconds !== undefined) return maxAgeSeconds > 0;
  return expiresMs !== undefined && expiresMs > dateMs;
}

function reusable(facts: ResponseFacts, settings: CacheSettings): boolean {
  const { freshForMs, source } = freshness(facts, settings);
  if (freshForMs > 0) return true;
  // An error without a word on freshness is not kept only because it carries a validator.
  if (source === 'none' && facts.status >= 400) return false;
  if (facts.etag !== undefined || facts.lastModifiedMs !== undefined) return true;
  return source !== 'none' && staleWindows(facts, settings).whileRevalidateMs > 0;
}
