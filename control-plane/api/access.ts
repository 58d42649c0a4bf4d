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

type Guard = (request: FastifyRequest) => Promise<void>;

/** Tells who a request comes from, before its body is read. */
export class Access {
  readonly #store: StateStore;
  readonly #journal: Journal;

  constructor(store: StateStore, journal: Journal) {
    this.#store = store;
    this.#journal = journal;
  }

  /** Admits tokens with `scope`; on routes of one site (`:site`) only those that are not limited to others. */
  toSites(scope: Scope): Guard {
    return async (request) => {
      const token = await this.#token(request, scope);
      const { site } = request.params as { readonly site?: string };
      if (site !== undefined) requireSite(token, site);
      request.token = token;
    };
  }

  /** Admits tokens with `scope` that are not limited to sites. */
  toNetwork(scope: Scope): Guard {
    return async (request) => {
      const token = await this.#token(request, scope);
      requireNetwork(token);
      request.token = token;
    };
  }

  /** Admits nodes by their credential. */
  toNode(): Guard {
    return async (request) => {
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
