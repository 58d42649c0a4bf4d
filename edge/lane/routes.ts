import { cacheKey } from '#core/cache/key.ts';
import type { ServedSite } from '#core/cache/served-site.ts';
import { normalizeTarget } from '#core/http/target.ts';
import type { SiteDirectory } from '#core/sites.ts';
import type { HeldObject } from '#core/cache/object.ts';
import { RuledRequest } from '../ruled.ts';
import { Doorkeeper } from './doorkeeper.ts';
import { LaneHosts } from './hosts.ts';
import type { PreparedObject } from './prepared.ts';
import type { PlainRequest } from './recogniser.ts';
import { UrlFacts } from './url-facts.ts';

/** What rules say that look at no more than the URL. */
export interface Ruled {
  readonly request: RuledRequest;
  readonly facts: UrlFacts;
}

/** What a request's host and target come to. */
export interface Route {
  readonly site: ServedSite;
  readonly scheme: 'http' | 'https';
  /** As the key has it. */
  readonly target: string;
  readonly key: string;
  /** What the rules of the site say of its answers; `undefined`: it has none. */
  readonly ruled: Ruled | undefined;
  /** Answers of its own, by `Accept-Encoding`; of most routes the object is all that they depend on. */
  prepared: Map<string, Map<HeldObject, PreparedObject>> | undefined;
  /** It has turned out that the rules look at each request. */
  isLeft: boolean;
}

interface Remembered {
  /** `undefined`: it is not for the lane. */
  readonly route: Route | undefined;
  /** Target and `Host` as they came. */
  readonly spelling: Buffer;
}

/** Spellings remembered, a power of two; a new one takes the place of another. */
const SLOTS = 4096;
/** Longer ones are not remembered, so that no client can fill memory with them. */
const MAX_SPELLING_BYTES = 512;

/**
 * The routes of one scheme's requests under one configuration, found by the bytes of the request: most
 * are asked for again and again, and then no text is made of them.
 */
export class Routes {
  readonly #scheme: 'http' | 'https';
  readonly #hosts: LaneHosts;
  readonly #doorkeeper = new Doorkeeper();
  #hash = 0;
  #slots: (Remembered | undefined)[] = [];
  #sites: SiteDirectory<ServedSite> | undefined;

  constructor(scheme: 'http' | 'https') {
    this.#scheme = scheme;
    this.#hosts = new LaneHosts(scheme);
  }

  /** Of the spelling that was last looked for, 32 bits. */
  get hash(): number {
    return this.#hash;
  }

  /** @param sites as they are now */
  find(request: PlainRequest, sites: SiteDirectory<ServedSite>): Route | undefined {
    if (sites !== this.#sites) {
      this.#slots = Array.from({ length: SLOTS }, () => undefined);
      this.#sites = sites;
    }
    const { bytes, targetAt, targetEnd, hostAt, hostEnd } = request;
    this.#hash = hashed(bytes, hostAt, hostEnd, hashed(bytes, targetAt, targetEnd));
    const slot = this.#hash & (SLOTS - 1);
    const known = this.#slots[slot];
    if (known !== undefined) {
      const { spelling } = known;
      const targetBytes = targetEnd - targetAt;
      if (
        spelling.length === targetBytes + hostEnd - hostAt &&
        isAt(bytes, targetAt, spelling, 0, targetBytes) &&
        isAt(bytes, hostAt, spelling, targetBytes, spelling.length)
      ) {
        return known.route?.isLeft === false ? known.route : undefined;
      }
    }
    const route = this.#look(request, sites);
    if (targetEnd - targetAt + hostEnd - hostAt > MAX_SPELLING_BYTES) return route;
    if (!this.#doorkeeper.isKnown(this.#hash)) return route;
    const spelling = Buffer.concat([
      bytes.subarray(targetAt, targetEnd),
      bytes.subarray(hostAt, hostEnd),
    ]);
    this.#slots[slot] = { route, spelling };
    return route;
  }

  #look(request: PlainRequest, sites: SiteDirectory<ServedSite>): Route | undefined {
    const found = this.#hosts.find(request.host, sites);
    if (found === undefined) return undefined;
    const target = normalizeTarget(request.target);
    // Below `/.` an edge answers for itself.
    if (target === undefined || target.startsWith('/.')) return undefined;
    const { site, host } = found;
    const scheme = this.#scheme;
    const ruled = site.ruleset.isIdle ? undefined : ruledBy(site, { scheme, host, target });
    if (ruled === null) return undefined;
    const folded = site.keying.foldTarget(target);
    const key = cacheKey(site, { scheme, host, target }, folded);
    return { site, scheme, target: folded, key, ruled, prepared: undefined, isLeft: false };
  }
}

/** @returns `null` where the rules look at more of requests than the URL, do more than the lane can, or fail */
function ruledBy(site: ServedSite, url: ConstructorParameters<typeof UrlFacts>[0]): Ruled | null {
  try {
    const facts = new UrlFacts(url);
    const request = RuledRequest.by(site, facts.facts);
    return request.isSimple ? { request, facts } : null;
  } catch {
    return null;
  }
}

/** FNV-1a of some bytes, after others. */
function hashed(bytes: Buffer, start: number, end: number, before = 0x811c9dc5): number {
  let hash = before;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
  return hash ^ (hash >>> 15);
}

/** Whether the bytes from `at` on are those of `expected` from `start` up to `end`. */
function isAt(bytes: Buffer, at: number, expected: Buffer, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (bytes[at + i - start] !== expected[i]) return false;
  return true;
}
