import type { FastifyRequest } from 'fastify';
import type { Node } from '#core/contract/node.ts';
import { CanopyError } from '#core/errors.ts';
import type { Journal } from '../journal/journal.ts';
import { digestOf, sameDigest } from '../secrets.ts';
import type { Scope } from '../state/scopes.ts';
import type { StateStore, TokenRecord } from '../state/store.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks, on routes for tokens. */
    token: TokenRecord | undefined;
    /** Which node asks, on routes for nodes. */
    node: Node | undefined;
  }
}

/** Whom a route serves. */
export interface Admission {
  readonly who: 'anyone' | 'token' | 'node';
  /** What a token must allow. */
  readonly scope?: Scope;
  /** Whether tokens that are limited to sites are served, too. */
  readonly limited?: boolean;
  /** Called before the content is read. @throws CanopyError `unauthenticated`, `forbidden` */
  readonly check: (request: FastifyRequest) => Promise<void>;
}

export const anyone: Admission = { who: 'anyone', check: async () => undefined };

/** Tells who a request comes from, before its body is read. */
export class Access {
  readonly #store: StateStore;
  readonly #journal: Journal;

  constructor(store: StateStore, journal: Journal) {
    this.#store = store;
    this.#journal = journal;
  }

  /** Admits tokens with `scope`; on routes of one site (`:site`) only those that are not limited to others. */
  toSites(scope: Scope): Admission {
    const check = async (request: FastifyRequest): Promise<void> => {
      const token = await this.#token(request, scope);
      const { site } = request.params as { readonly site?: string };
      if (site !== undefined) requireSite(token, site);
      request.token = token;
    };
    return { who: 'token', scope, limited: true, check };
  }

  /** Admits tokens with `scope` that are not limited to sites. */
  toNetwork(scope: Scope): Admission {
    const check = async (request: FastifyRequest): Promise<void> => {
      const token = await this.#token(request, scope);
      if (token.sites !== null) {
        throw new CanopyError(
          'forbidden',
          `Token "${token.name}" is limited to sites; this concerns the whole network`,
        );
      }
      request.token = token;
    };
    return { who: 'token', scope, check };
  }

  /** Admits nodes by their credential. */
  toNode(): Admission {
    const check = async (request: FastifyRequest): Promise<void> => {
      const digest = digestOf(bearerOf(request));
      const found = await this.#store.credentialByDigest(digest);
      const named = (): Node | undefined =>
        this.#journal.config.nodes.find(({ name }) => name === found?.node);
      // Another control plane may have added it just now.
      if (found !== undefined && named() === undefined) await this.#journal.catchUp();
      const node = named();
      if (found === undefined || node === undefined || !sameDigest(found.digest, digest)) {
        throw new CanopyError('unauthenticated', 'The credential belongs to no node');
      }
      request.node = node;
    };
    return { who: 'node', check };
  }

  async #token(request: FastifyRequest, scope: Scope): Promise<TokenRecord> {
    const digest = digestOf(bearerOf(request));
    const token = await this.#store.tokenByDigest(digest);
    if (token === undefined || !sameDigest(token.digest, digest)) {
      throw new CanopyError('unauthenticated', 'The token is not known');
    }
    if (!token.scopes.includes(scope) && !token.scopes.includes('admin')) {
      throw new CanopyError('forbidden', `Token "${token.name}" lacks the scope "${scope}"`);
    }
    return token;
  }
}

/** Whether the request's token extends to `site`. */
export function mayReach(request: FastifyRequest, site: string): boolean {
  const { token } = request;
  return token !== undefined && (token.sites === null || token.sites.includes(site));
}

/** @throws CanopyError `forbidden` */
export function requireSite(token: TokenRecord | undefined, site: string): void {
  if (token?.sites === null || token?.sites.includes(site) === true) return;
  throw new CanopyError('forbidden', `The token does not extend to site "${site}"`);
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
