import { type Fields, fieldValue } from './fields.ts';

/** Where a redirect leads. */
export interface RedirectTarget {
  /** Scheme, host and port. */
  readonly origin: string;
  /** Path and query. */
  readonly target: string;
}

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/**
 * What an answer redirects to (RFC 9110 §15.4), if it may be gone to in the client's place: an
 * http or https URL on a host that `hosts` allows. From https it never leads to http.
 * @param from where the answer came from
 * @param hosts lower-case names; `*.` before a name for all its subdomains
 */
export function redirectTarget(
  method: string,
  answer: { readonly status: number; readonly fields: Fields },
  from: RedirectTarget,
  hosts: readonly string[],
): RedirectTarget | undefined {
  if (method !== 'GET' && method !== 'HEAD') return undefined;
  const location = REDIRECTS.has(answer.status) ? fieldValue(answer.fields, 'location') : undefined;
  if (location === undefined) return undefined;
  const base = from.origin + from.target;
  if (!URL.canParse(location, base)) return undefined;
  const to = new URL(location, base);
  const isHttp = to.protocol === 'https:' || to.protocol === 'http:';
  if (!isHttp || to.username !== '' || to.password !== '') return undefined;
  if (from.origin.startsWith('https:') && to.protocol === 'http:') return undefined;
  const isKnown = to.origin === from.origin || hosts.some((host) => matches(host, to.hostname));
  return isKnown ? { origin: to.origin, target: to.pathname + to.search } : undefined;
}

const matches = (pattern: string, host: string): boolean =>
  pattern.startsWith('*.') ? host.endsWith(pattern.slice(1)) : pattern === host;
