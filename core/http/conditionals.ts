import { parseDate } from './dates.ts';

/** The precondition fields of a request, as values. */
export interface ConditionalRequest {
  readonly method: string;
  readonly ifMatch?: string | undefined;
  readonly ifNoneMatch?: string | undefined;
  readonly ifModifiedSince?: string | undefined;
  readonly ifUnmodifiedSince?: string | undefined;
}

/** What tells a representation from others of its resource, as field values. */
export interface Validators {
  readonly etag?: string | undefined;
  readonly lastModified?: string | undefined;
  /**
   * `Date` of the response: without it, `lastModified` is not known to be strong; what was sent then
   * was current then, which answers `If-Modified-Since` alone (RFC 9111 §4.3.2).
   */
  readonly date?: string | undefined;
}

/** not-modified: answer 304; precondition-failed: answer 412. */
export type PreconditionVerdict = 'proceed' | 'not-modified' | 'precondition-failed';

/**
 * Evaluates the preconditions in the order of RFC 9110 §13.2.2, `If-Range` apart.
 * @param selected the current representation; `undefined` if there is none
 */
export function evaluatePreconditions(
  request: ConditionalRequest,
  selected: Validators | undefined,
): PreconditionVerdict {
  const { ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince } = request;
  const safe = request.method === 'GET' || request.method === 'HEAD';
  if (ifMatch !== undefined) {
    if (!listHolds(ifMatch, selected, strongMatch)) return 'precondition-failed';
  } else if (ifUnmodifiedSince !== undefined) {
    if (modifiedSince(ifUnmodifiedSince, selected?.lastModified) === true)
      return 'precondition-failed';
  }
  if (ifNoneMatch !== undefined) {
    if (listHolds(ifNoneMatch, selected, weakMatch)) {
      return safe ? 'not-modified' : 'precondition-failed';
    }
  } else if (ifModifiedSince !== undefined && safe) {
    if (modifiedSince(ifModifiedSince, selected?.lastModified ?? selected?.date) === false)
      return 'not-modified';
  }
  return 'proceed';
}

/**
 * Whether `Range` may be obeyed as far as `If-Range` goes, RFC 9110 §13.1.5: it is absent, or
 * names the representation by a strong entity tag or a strong date (§8.8.2.2).
 */
export function ifRangeHolds(ifRange: string | undefined, validators: Validators): boolean {
  if (ifRange === undefined) return true;
  const { etag, lastModified, date } = validators;
  if (ENTITY_TAG.test(ifRange)) return etag !== undefined && strongMatch(ifRange, etag);
  if (lastModified === undefined || date === undefined || ifRange !== lastModified) return false;
  // Dates have no parts of a second, so a second version could have come within the same one.
  const sentAfterMs = differenceMs(date, lastModified);
  return sentAfterMs !== undefined && sentAfterMs >= 1000;
}

const OPAQUE_TAG = String.raw`"[\x21\x23-\x7e\x80-\uffff]*"`;
const ENTITY_TAG = new RegExp(`^(?:W/)?${OPAQUE_TAG}$`);
const LISTED_TAG = new RegExp(`(?:W/)?${OPAQUE_TAG}`, 'g');

/** Whether one of the list's tags, or its `*`, matches the representation. */
function listHolds(
  list: string,
  selected: Validators | undefined,
  matches: (a: string, b: string) => boolean,
): boolean {
  if (selected === undefined) return false;
  if (list.trim() === '*') return true;
  const { etag } = selected;
  if (etag === undefined) return false;
  // Tags may hold commas, so they are found, not split.
  return (list.match(LISTED_TAG) ?? []).some((tag) => matches(tag, etag));
}

/** RFC 9110 §8.8.3.2. */
const strongMatch = (a: string, b: string): boolean => a === b && !a.startsWith('W/');
const weakMatch = (a: string, b: string): boolean => opaque(a) === opaque(b);
const opaque = (tag: string): string => (tag.startsWith('W/') ? tag.slice(2) : tag);

/** `undefined`: the field is to be ignored, RFC 9110 §13.1.3 and §13.1.4. */
function modifiedSince(field: string, modified: string | undefined): boolean | undefined {
  if (modified === undefined) return undefined;
  const modifiedAfterMs = differenceMs(modified, field);
  return modifiedAfterMs === undefined ? undefined : modifiedAfterMs > 0;
}

/** `a - b` of two HTTP-dates. Whichever has a whole year tells the century of the other. */
function differenceMs(a: string, b: string): number | undefined {
  const aMs = parseDate(a, parseDate(b, 0) ?? 0);
  if (aMs === undefined) return undefined;
  const bMs = parseDate(b, aMs);
  return bMs === undefined ? undefined : aMs - bMs;
}
