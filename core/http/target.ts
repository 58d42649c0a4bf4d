/** RFC 3986 §3.3: pchar without percent-encoding, and the slash. */
const PLAIN = String.raw`A-Za-z0-9\-._~!$&'()*+,;=:@/`;
const ALREADY_NORMAL = new RegExp(`^(?!.*/\\.)/[${PLAIN}]*$`);
const TO_REWRITE = new RegExp(`%[\\s\\S]{0,2}|[^${PLAIN}]`, 'g');
const UNRESERVED = /[A-Za-z0-9\-._~]/;
const ENCODED = /^%[0-9A-Fa-f]{2}$/;

/** What may not stand in a path raw: controls, space, query, fragment, backslash, and what is no octet. */
// oxlint-disable-next-line no-control-regex -- controls are what it looks for
const FORBIDDEN = /[\x00-\x20\x7f?#\\]|[^\x00-\xff]/;

/**
 * The one spelling of a path under which Canopy compares, stores and forwards it, RFC 3986 §6.2.2:
 * unreserved characters decoded, other encodings in upper case, dot segments removed. Everything
 * else that a URI cannot hold raw is encoded. `//` and `%2F` keep their meaning and stay.
 * @param path from the first slash up to the query, one character per octet, as node:http gives it
 * @returns `undefined` if it is no valid path. Normalising twice changes nothing.
 */
export function normalizePath(path: string): string | undefined {
  if (ALREADY_NORMAL.test(path)) return path;
  if (!path.startsWith('/') || FORBIDDEN.test(path)) return undefined;
  let valid = true;
  const spelled = path.replaceAll(TO_REWRITE, (found) => {
    if (!found.startsWith('%')) return percentEncode(found);
    if (!ENCODED.test(found)) valid = false;
    const decoded = String.fromCharCode(Number.parseInt(found.slice(1), 16));
    return UNRESERVED.test(decoded) ? decoded : found.toUpperCase();
  });
  return valid ? removeDotSegments(spelled) : undefined;
}

// Wider than RFC 3986 §3.4, as browsers send; but nothing that could end or split a request line.
const QUERY = /^[\x21\x22\x24-\x7e\x80-\xff]*$/;

/** A path and query as `normalizePath` spells the path; `undefined` if it is no request target. */
export function normalizeTarget(target: string): string | undefined {
  const queryAt = target.indexOf('?');
  if (queryAt === -1) return normalizePath(target);
  const path = normalizePath(target.slice(0, queryAt));
  const query = target.slice(queryAt);
  return path === undefined || !QUERY.test(query) ? undefined : path + query;
}

const percentEncode = (octet: string): string =>
  `%${octet.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;

/** RFC 3986 §5.2.4. */
function removeDotSegments(path: string): string {
  const kept: string[] = [];
  const segments = path.split('/').slice(1);
  for (const [index, segment] of segments.entries()) {
    const last = index === segments.length - 1;
    if (segment === '..') kept.pop();
    if (segment !== '.' && segment !== '..') kept.push(segment);
    else if (last) kept.push('');
  }
  return `/${kept.join('/')}`;
}
