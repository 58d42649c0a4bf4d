import type { RedirectAction } from '#core/contract/rules/redirect.ts';
import { pathCaptures } from '#core/http/path-glob.ts';
import { normalizePath } from '#core/http/target.ts';
import { capturesOf } from './captures.ts';
import type { RequestFacts } from './facts.ts';
import type { OwnAnswer } from './own-answer.ts';
import { variablesOf } from './template.ts';
import { urlTemplate } from './url-template.ts';

/** Where a request leads, if the rule is for it. */
export type Redirect = (request: RequestFacts) => OwnAnswer | undefined;

type Place = (request: RequestFacts) => { to: string; saysQuery: boolean } | undefined;

/** Made once, when the rule arrives. */
export function redirector(action: RedirectAction): Redirect {
  const { status, keepQuery, maxAgeSeconds } = action;
  const placeOf =
    action.to === undefined ? mapPlace(action) : templatePlace(action.to, action.from);
  const said = maxAgeSeconds === undefined ? [] : ['Cache-Control', `max-age=${maxAgeSeconds}`];
  return (request) => {
    const place = placeOf(request);
    if (place === undefined) return undefined;
    const { to, saysQuery } = place;
    const query = keepQuery && !saysQuery ? QUERY_OF(request) : '';
    const location = withQuery(ownPath(to), query);
    return isItself(location, request)
      ? undefined
      : { status, fields: ['Location', location, ...said], body: '', detail: 'redirect' };
  };
}

const QUERY_OF = urlTemplate('${request.query}');
const TARGET_OF = urlTemplate('${request.target}');

function templatePlace(to: string, from: string | undefined): Place {
  const location = urlTemplate(to);
  const captures = from === undefined ? () => [] : pathCaptures(from);
  const saysQuery = variablesOf(to).some((name) => SAYS_QUERY.has(name));
  return (request) => {
    const captured = captures(request.path);
    if (captured === undefined) return undefined;
    return { to: location(request, capturesOf(captured)), saysQuery };
  };
}

const SAYS_QUERY: ReadonlySet<string> = new Set(['request.target', 'request.query']);

function mapPlace({ exact, prefix }: RedirectAction): Place {
  const places = new Map(Object.entries(exact).map(([path, to]) => [spelled(path), to]));
  const prefixes = new Map(Object.entries(prefix).map(([path, to]) => [spelled(path), to]));
  const lengths = [...new Set([...prefixes.keys()].map(({ length }) => length))].toSorted(
    (a, b) => b - a,
  );
  return (request) => {
    const { target, path } = request;
    const ofTarget = target === path ? undefined : places.get(target);
    if (ofTarget !== undefined) return { to: ofTarget, saysQuery: true };
    const ofPath = places.get(path);
    if (ofPath !== undefined) return { to: ofPath, saysQuery: false };
    for (const length of lengths) {
      const to = length > path.length ? undefined : prefixes.get(path.slice(0, length));
      if (to !== undefined) return { to: to + path.slice(length), saysQuery: false };
    }
    return undefined;
  };
}

/** As the path of a request is spelled when it has been read. */
function spelled(key: string): string {
  const queryAt = key.indexOf('?');
  const path = queryAt === -1 ? key : key.slice(0, queryAt);
  return (normalizePath(path) ?? path) + (queryAt === -1 ? '' : key.slice(queryAt));
}

/** RFC 3986 §4.2: what begins with `//` would name another host. */
const ownPath = (to: string): string => (to.startsWith('//') ? to.replace(/^\/+/, '/') : to);

function withQuery(location: string, query: string): string {
  if (query === '') return location;
  const [url = '', ...fragment] = location.split('#');
  const end = fragment.length === 0 ? '' : `#${fragment.join('#')}`;
  return `${url}${url.includes('?') ? '&' : '?'}${query}${end}`;
}

/** Whether a client would come back with the very same request. */
function isItself(location: string, request: RequestFacts): boolean {
  const target = TARGET_OF(request);
  return location === target || location === `${request.scheme}://${request.host}${target}`;
}
