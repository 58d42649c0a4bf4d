import { cookieValue } from '#core/http/cookies.ts';
import { type DeviceClass, deviceClass } from '#core/http/device-class.ts';
import type { Fields } from '#core/http/fields.ts';
import type { ClientRequest } from '#core/http/request.ts';

/** Where addresses are, as far as the node knows. */
export interface Places {
  /** Two capital letters; `ZZ`: unknown. */
  countryOf(address: string): string;
  asnOf(address: string): number | undefined;
  /** What a client is known by from now on; left out: none is given anything. */
  newClientId?(): string;
}

export interface GivenCookie {
  readonly value: string;
  readonly forSeconds: number;
}

/** What conditions and variables may ask of a request; what takes looking up is looked up once. */
export class RequestFacts {
  readonly method: string;
  readonly scheme: 'http' | 'https';
  readonly host: string;
  /** Path and query. */
  readonly target: string;
  readonly path: string;
  /** Without `?`; empty where there is none. */
  readonly query: string;
  readonly fields: Fields;
  readonly address: string;
  /** Of the token, once a guard has checked one. */
  claims: Readonly<Record<string, unknown>> | undefined;
  readonly #places: Places;
  #country: string | undefined;
  #asn: { readonly number: number | undefined } | undefined;
  #deviceClass: DeviceClass | undefined;
  #given: Map<string, GivenCookie> | undefined;

  constructor(
    { method, scheme, host, target, fields }: ClientRequest,
    address: string,
    places: Places,
  ) {
    this.method = method;
    this.scheme = scheme;
    this.host = host;
    this.target = target;
    const queryAt = target.indexOf('?');
    this.path = queryAt === -1 ? target : target.slice(0, queryAt);
    this.query = queryAt === -1 ? '' : target.slice(queryAt + 1);
    this.fields = fields;
    this.address = address;
    this.#places = places;
  }

  get country(): string {
    this.#country ??= this.#places.countryOf(this.address);
    return this.#country;
  }

  get asn(): number | undefined {
    this.#asn ??= { number: this.#places.asnOf(this.address) };
    return this.#asn.number;
  }

  get deviceClass(): DeviceClass {
    this.#deviceClass ??= deviceClass(this.fields);
    return this.#deviceClass;
  }

  /** Cookies that the client is to keep from now on, by name. */
  get givenCookies(): ReadonlyMap<string, GivenCookie> | undefined {
    return this.#given;
  }

  /**
   * What the client is known by in a cookie, given to it by the answer where it has none.
   * @param setForSeconds left out: it is given none
   */
  clientId(cookie: string, setForSeconds: number | undefined): string | undefined {
    const known = cookieValue(this.fields, cookie) ?? this.#given?.get(cookie)?.value;
    if (known !== undefined || setForSeconds === undefined) return known;
    const value = this.#places.newClientId?.();
    if (value === undefined) return undefined;
    this.#given ??= new Map();
    this.#given.set(cookie, { value, forSeconds: setForSeconds });
    return value;
  }

  /** The value of the first parameter `name`, as in the URL; `''` for one without. */
  parameter(name: string): string | undefined {
    for (const parameter of this.query.split('&')) {
      const end = parameter.indexOf('=');
      if (end === -1 ? parameter === name : parameter.slice(0, end) === name) {
        return end === -1 ? '' : parameter.slice(end + 1);
      }
    }
    return undefined;
  }
}

/** What conditions may ask of an answer. */
export interface AnswerFacts {
  readonly status: number;
  /** Media type in lower case, without parameters; `''` where there is none. */
  readonly contentType: string;
}
