import type { FastifyRequest } from 'fastify';
import type { Clock } from '#core/clock.ts';
import type { Node } from '#core/contract/node.ts';
import { CONTRACT_FIELD, requireNodeContract } from '#core/contract/version.ts';
import { CanopyError } from '#core/errors.ts';
import type { Rate } from '#core/token-bucket.ts';
import type { Journal } from '../journal/journal.ts';
import { digestOf, sameDigest } from '../secrets.ts';
import type { Scope } from '../state/scopes.ts';
import type { StateStore } from '../state/store.ts';
import type { TokenRecord } from '../state/token.ts';
import { Guesses } from './guesses.ts';
import { InFlight } from './in-flight.ts';
import { RateLimits } from './rate-limits.ts';
import type { TokenUse } from './token-use.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks, on routes for tokens. */
    token: TokenRecord | undefined;
    /** Where it comes from, as far as trusted proxies tell. */
    address: string;
    /** Which node asks, on routes for nodes. */
    node: Node | undefined;
  }
}

/** Whom a route serves. */
export interface Admission {
  readonly who: 'anyone' | 'token' | 'node' | 'enrolment';
  /** What a token must allow. */
  readonly scope?: Scope;
  /** Whether tokens that are limited to sites are served, too. */
  readonly limited?: boolean;
  /** Called before the content is read. @throws CanopyError `unauthenticated`, `forbidden` */
  readonly check: (request: FastifyRequest) => Promise<void>;
}

export const anyone: Admission = { who: 'anyone', check: async () => undefined };

/** Nodes by their one-time token, which the handler looks at: it is used up by that. */
export const enrolment: Admission = {
  who: 'enrolment',
  check: async ({ headers }) => requireNodeContract(headers[CONTRACT_FIELD]),
};

export interface AccessOptions {
  readonly store: StateStore;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly use: TokenUse;
  /** What one token may ask for. */
  readonly rate: Rate;
}

/** Tells who a request comes from, before its body is read. */
export class Access {
  readonly guesses: Guesses;
  readonly #options: AccessOptions;
  readonly #rates: RateLimits;
  readonly #inFlight = new InFlight();

  constructor(options: AccessOptions) {
    this.#options = options;
    this.guesses = new Guesses(options.clock);
    this.#rates = new RateLimits(options.clock, options.rate, 'requests');
  }

  /** Admits tokens with `scope`; on routes of one site (`:site`) only those that are not limited to others. */
  toSites(scope: Scope): Admission {
    const check = async (request: FastifyRequest): Promise<void> => {
      const token = await this.#token(request, scope);
      const { site } = request.params as { readonly site?: string };
      if (site !== undefined) requireSite(token, site);
    };
    return { who: 'token', scope, limited: true, check };
  }

  /** Admits tokens with `scope` that are not limited to sites. */
  toNetwork(scope: Scope): Admission {
    const check = async (request: FastifyRequest): Promise<void> =>
      requireNetwork(await this.#token(request, scope));
    return { who: 'token', scope, check };
  }

  /** Admits nodes by their credential. */
  toNode(): Admission {
    const { store, journal } = this.#options;
    const check = async (request: FastifyRequest): Promise<void> => {
      request.node = await this.known(request, async (digest) => {
        const found = await store.credentialByDigest(digest);
        const named = (): Node | undefined =>
          journal.config.nodes.find(({ name }) => name === found?.node);
        // Another control plane may have added it just now.
        if (found !== undefined && named() === undefined) await journal.catchUp();
        const node = named();
        if (found === undefined || node === undefined || !sameDigest(found.digest, digest)) {
          throw new CanopyError('unauthenticated', 'The credential belongs to no node');
        }
        return node;
      });
      requireNodeContract(request.headers[CONTRACT_FIELD]);
    };
    return { who: 'node', check };
  }

  /** The request is over. */
  leave({ token }: FastifyRequest): void {
    if (token !== undefined) this.#inFlight.leave(token.name);
  }

  async #token(request: FastifyRequest, scope: Scope): Promise<TokenRecord> {
    const { clock, store, use } = this.#options;
    const token = await this.known(request, async (digest) => {
      const found = await store.tokenByDigest(digest);
      if (found === undefined) throw new CanopyError('unauthenticated', 'The token is not known');
      requireValid(found, digest, clock.now());
      return found;
    });
    this.#rates.take(token.name, 1);
    this.#inFlight.enter(token.name);
    request.token = token;
    use.note(token.name);
    if (!token.scopes.includes(scope) && !token.scopes.includes('admin')) {
      throw new CanopyError('forbidden', `Token "${token.name}" lacks the scope "${scope}"`);
    }
    return token;
  }

  /** What `find` knows by the digest of the request's secret, as long as the address does not guess. */
  async known<T>(request: FastifyRequest, find: (digest: Uint8Array) => Promise<T>): Promise<T> {
    const { address } = request;
    const digest = digestOf(bearerOf(request));
    this.guesses.admit(address, digest);
    try {
      const found = await find(digest);
      this.guesses.succeeded(address, digest);
      return found;
    } catch (error) {
      const isGuess = error instanceof CanopyError && error.code === 'unauthenticated';
      if (isGuess) this.guesses.failed(address);
      throw error;
    }
  }
}

/** @throws CanopyError `unauthenticated` */
function requireValid(token: TokenRecord, digest: Uint8Array, now: number): void {
  const { name, expiresAt, previous } = token;
  if (expiresAt !== null && expiresAt <= now) {
    throw new CanopyError('unauthenticated', `Token "${name}" expired at ${dateOf(expiresAt)}`);
  }
  if (sameDigest(token.digest, digest)) return;
  if (previous !== null && sameDigest(previous.digest, digest)) {
    if (previous.until > now) return;
    throw new CanopyError(
      'unauthenticated',
      `This secret of token "${name}" was replaced, and taken until ${dateOf(previous.until)}`,
    );
  }
  throw new CanopyError('unauthenticated', 'The token is not known');
}

const dateOf = (ms: number): string => new Date(ms).toISOString();

/** Whether the request's token extends to `site`. */
export function mayReach(request: Pick<FastifyRequest, 'token'>, site: string): boolean {
  const { token } = request;
  return token !== undefined && (token.sites === null || token.sites.includes(site));
}

/** @throws CanopyError `forbidden` */
export function requireSite(token: TokenRecord | undefined, site: string): void {
  if (token?.sites === null || token?.sites.includes(site) === true) return;
  throw new CanopyError('forbidden', `The token does not extend to site "${site}"`);
}

/** @throws CanopyError `forbidden` */
export function requireNetwork({ name, sites }: TokenRecord): void {
  if (sites === null) return;
  throw new CanopyError(
    'forbidden',
    `Token "${name}" is limited to sites; this concerns the whole network`,
  );
}

/** The node that a route guarded by `toNode` serves. */
export function nodeOf(request: FastifyRequest): Node {
  if (request.node === undefined) throw new CanopyError('unauthenticated', 'No node is known');
  return request.node;
}

function bearerOf(request: FastifyRequest): string {
  const [, secret] = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '') ?? [];
  if (secret === undefined) {
    throw new CanopyError('unauthenticated', 'Send "Authorization: Bearer" with a token');
  }
  return secret;
}
