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

/** The facts of all requests of a URL: rules that look at no more than these say the same of all of them. */
export class UrlFacts {
  /** Throw when asked for more than the URL. */
  readonly facts: RequestFacts;
  #address: string | undefined;

  constructor(url: Pick<ClientRequest, 'scheme' | 'host' | 'target'>) {
    const request = { ...url, method: 'GET', fields: [] } as unknown as ClientRequest;
    this.facts = new Proxy(new RequestFacts(request, '', NOWHERE), {
      get: (facts, name) => {
        if (name === 'address' && this.#address !== undefined) return this.#address;
        if (!OF_URL.has(name)) throw new Error(`${String(name)} is of a request`);
        return Reflect.get(facts, name) as unknown;
      },
    });
  }

  /** Has the facts tell an address, too, while `ask` is called. */
  from<T>(address: string, ask: () => T): T {
    this.#address = address;
    try {
      return ask();
    } finally {
      this.#address = undefined;
    }
  }
}

const NOWHERE = { countryOf: () => '', asnOf: () => undefined };
