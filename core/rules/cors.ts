import type { CorsAction } from '#core/contract/rules/cors.ts';
import { type Fields, fieldValue, listMembers, withoutFields } from '#core/http/fields.ts';
import { wildcardMatcher } from '#core/http/wildcard.ts';
import type { RequestFacts } from './facts.ts';
import type { OwnAnswer } from './own-answer.ts';

/** What a site lets pages of other origins do, https://fetch.spec.whatwg.org/#http-cors-protocol */
export interface Cors {
  /** The answer to a browser that asks before it sends what the page wants; `undefined`: this is no such request. */
  readonly preflight: (request: RequestFacts) => OwnAnswer | undefined;
  /** An answer that says what holds for the page, and nothing of what the origin says of it. */
  readonly shape: (fields: Fields, request: RequestFacts) => Fields;
}

/** Made once, when the rule arrives. */
export function corsOf(action: CorsAction): Cors {
  const { methods, headers, exposedHeaders, credentials, maxAgeSeconds } = action;
  const forAll = action.origins.includes('*');
  const tests = action.origins.map(originTest);
  const withCredentials = credentials ? ['Access-Control-Allow-Credentials', 'true'] : [];
  const exposed = list('Access-Control-Expose-Headers', exposedHeaders);
  const allowed = [
    ...list('Access-Control-Allow-Methods', methods),
    ...list('Access-Control-Allow-Headers', headers),
    'Access-Control-Max-Age',
    String(maxAgeSeconds),
  ];
  /** Nothing for an origin that may not. */
  const leave = ({ fields }: RequestFacts, more: Fields): Fields => {
    if (forAll) return ['Access-Control-Allow-Origin', '*', ...more];
    const origin = fieldValue(fields, 'origin');
    if (origin === undefined || !tests.some((test) => test(origin))) return [];
    return ['Access-Control-Allow-Origin', origin, ...withCredentials, ...more];
  };
  return {
    preflight: (request) => {
      if (!isPreflight(request)) return undefined;
      const vary = forAll ? [] : ['Vary', 'Origin'];
      const fields = [...leave(request, allowed), ...vary];
      return { status: 204, fields, body: '', detail: 'cors-preflight' };
    },
    shape: (fields, request) => {
      // It has been told all.
      if (isPreflight(request)) return fields;
      const kept = withoutFields(fields, (name) => name.startsWith('access-control-'));
      const said = [...kept, ...leave(request, exposed)];
      return forAll ? said : withVaryOrigin(said);
    },
  };
}

const list = (name: string, members: readonly string[]): Fields =>
  members.length === 0 ? [] : [name, members.join(', ')];

const isPreflight = ({ method, fields }: RequestFacts): boolean =>
  method === 'OPTIONS' &&
  fieldValue(fields, 'origin') !== undefined &&
  fieldValue(fields, 'access-control-request-method') !== undefined;

function withVaryOrigin(fields: Fields): Fields {
  const vary = listMembers(fieldValue(fields, 'vary'));
  return vary.includes('origin') || vary.includes('*') ? fields : [...fields, 'Vary', 'Origin'];
}

/** RFC 6454 §6.2: what browsers send, so that a `*` cannot stand for anything but names and a port. */
const SERIALISED = /^https?:\/\/(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/;

function originTest(pattern: string): (origin: string) => boolean {
  const fits = wildcardMatcher(pattern.endsWith(':*') ? pattern.slice(0, -2) : pattern);
  if (!pattern.endsWith(':*')) return (origin) => SERIALISED.test(origin) && fits(origin);
  return (origin) => SERIALISED.test(origin) && fits(origin.replace(/:\d+$/, ''));
}
