import type { Readable } from 'node:stream';
import { z } from 'zod';
import { type ReleaseObject, releaseObjectSchema } from '#core/contract/release.ts';
import { type ApiConnection, json } from './api-connection.ts';
import { type Release, releaseSchema } from './api-types.ts';

/** Digests that one request may name. */
const MOST_DIGESTS = 50_000;

const missingSchema = z.looseObject({ missing: z.array(z.string()) });

export interface ReleaseRequest {
  readonly objects: readonly ReleaseObject[];
  readonly prefetch?: { readonly locations?: readonly string[] };
  readonly reason?: string;
}

/** The control plane's API of releases, and of the contents that they are made of. */
export class ReleaseApi {
  readonly #api: ApiConnection;

  constructor(api: ApiConnection) {
    this.#api = api;
  }

  /** Those of the contents that have to be put. */
  async missing(site: string, digests: readonly string[]): Promise<Set<string>> {
    const missing = new Set<string>();
    for (let from = 0; from < digests.length; from += MOST_DIGESTS) {
      const some = json({ digests: digests.slice(from, from + MOST_DIGESTS) });
      const target = `/v1/sites/${encodeURIComponent(site)}/contents/missing`;
      const answer = await this.#api.send(missingSchema, 'POST', target, some);
      for (const digest of answer.missing) missing.add(digest);
    }
    return missing;
  }

  /** @param size bytes that `content` has */
  putContent(site: string, digest: string, content: Readable, size: number): Promise<unknown> {
    const headers = { 'content-length': `${size}`, 'content-type': 'application/octet-stream' };
    const target = `/v1/sites/${encodeURIComponent(site)}/contents/${digest}`;
    return this.#api.send(z.unknown(), 'PUT', target, { content, headers });
  }

  /** @param replacing the release that has to be in effect */
  order(site: string, order: ReleaseRequest, replacing?: string): Promise<Release> {
    return this.#api.send(releaseSchema, 'POST', pathOf(site), json(order, replacing));
  }

  rollback(
    site: string,
    order: { readonly to?: string; readonly reason?: string },
    replacing?: string,
  ): Promise<Release> {
    const path = `${pathOf(site)}/rollback`;
    return this.#api.send(releaseSchema, 'POST', path, json(order, replacing));
  }

  /** The latest `limit`, newest first. */
  latest(site: string, limit: number): Promise<Release[]> {
    return this.#api.all(releaseSchema, pathOf(site), limit);
  }

  find(site: string, id: string): Promise<Release> {
    return this.#api.send(releaseSchema, 'GET', pathOf(site, id));
  }

  objects(site: string, id: string): Promise<ReleaseObject[]> {
    return this.#api.all(releaseObjectSchema, `${pathOf(site, id)}/objects`);
  }

  /**
   * The release as it stands once nothing more is to come of it, or after `timeoutMs`.
   * @param onProgress called with it now and then
   */
  wait(
    site: string,
    id: string,
    timeoutMs: number,
    onProgress?: (release: Release) => void,
  ): Promise<Release> {
    return this.#api.wait(releaseSchema, pathOf(site, id), timeoutMs, isOver, onProgress);
  }

  cancel(site: string, id: string): Promise<Release> {
    return this.#api.send(releaseSchema, 'POST', `${pathOf(site, id)}/cancel`);
  }
}

const isOver = ({ status }: Release): boolean => status !== 'preparing' && status !== 'switching';

function pathOf(site: string, id?: string): string {
  const releases = `/v1/sites/${encodeURIComponent(site)}/releases`;
  return id === undefined ? releases : `${releases}/${encodeURIComponent(id)}`;
}
