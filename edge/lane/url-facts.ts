import type { ClientRequest } from '#core/http/request.ts';
import { RequestFacts } from '#core/rules/facts.ts';

/** What all GETs of a URL have in common. */
const OF_URL: ReadonlySet<PropertyKey> = new Set<keyof RequestFacts>([
  'scheme',
  'host',
  'target',
  'path',
  'query',
  'parameter',
  'givenCookies',
]);

/**
 * The facts of all requests of a URL: rules that look at no more than these say the same of all of them.
 * @returns facts that throw when asked for others
 */
export function urlFacts(url: Pick<ClientRequest, 'scheme' | 'host' | 'target'>): RequestFacts {
  const request = { ...url, method: 'GET', fields: [] } as unknown as ClientRequest;
  return new Proxy(new RequestFacts(request, '', NOWHERE), {
    get: (facts, name) => {
      if (!OF_URL.has(name)) throw new Error(`${String(name)} is of a request`);
      return Reflect.get(facts, name) as unknown;
    },
  });
}

const NOWHERE = { countryOf: () => '', asnOf: () => undefined };
