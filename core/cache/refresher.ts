import { type Clock, delay } from '#core/clock.ts';
import type { Fields } from '#core/http/fields.ts';
import type { ClientRequest } from '#core/http/request.ts';
import type { CacheEngine, Lookup } from './engine.ts';
import type { StoredObject } from './object.ts';
import { CLASS_FIELDS, keySelector, originOfSelector } from './policy/keying.ts';
import { rebuiltRequest } from './policy/rebuilt-request.ts';
import { type ServedSite, siteAt } from './served-site.ts';
import type { Targets } from './targets.ts';

/** Objects that one purge fetches anew; of more, those that come first in the store's own order. */
const MAX_OBJECTS = 10_000;
/** Purges whose objects wait; those of more are only stale. */
const MAX_WAITING = 16;
/** Until it looks again whether the site has fewer refreshes under way. */
const BUSY_MS = 100;

export interface RefresherOptions {
  readonly clock: Clock;
  readonly engine: CacheEngine;
  readonly siteOf: (name: string) => ServedSite | undefined;
  readonly upstreamFields: (request: ClientRequest) => Fields;
}

type Stale = Pick<StoredObject, 'site' | 'key' | 'selector' | 'facts'>;

/**
 * Fetches what a purge has made stale anew, within the site's budgets and one purge after another.
 * What it leaves out is fetched when it is next asked for.
 */
export class Refresher {
  readonly #options: RefresherOptions;
  #waiting = 0;
  #last: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: RefresherOptions) {
    this.#options = options;
  }

  /** Begins to fetch all stored objects that `targets` concern and that are from before `sequence`. */
  refresh(targets: Targets, sequence: number): void {
    if (this.#waiting >= MAX_WAITING) return;
    this.#waiting++;
    this.#last = this.#last.then(async () => {
      await this.#refreshAll(targets, sequence);
      this.#waiting--;
    });
  }

  close(): void {
    this.#closed = true;
  }

  async #refreshAll(targets: Targets, sequence: number): Promise<void> {
    const stale: Stale[] = [];
    await this.#options.engine.store.sweep((object) => {
      const { site, key, selector, facts, asOf } = object;
      const concerned = asOf < sequence && targets.has({ site, key, tags: facts.tags });
      if (concerned && stale.length < MAX_OBJECTS) stale.push({ site, key, selector, facts });
      return false;
    });
    for (const object of stale) await this.#refreshOne(object, sequence);
  }

  async #refreshOne(object: Stale, sequence: number): Promise<void> {
    const { clock, engine, siteOf } = this.#options;
    const main = siteOf(object.site);
    const site = main && siteAt(main, originOfSelector(object.selector));
    const lookup = site === undefined ? undefined : this.#lookupFor(object, site);
    if (site === undefined || lookup === undefined) return;
    for (let waitMs = 1; waitMs > 0 && !this.#closed;) {
      waitMs = engine.filler.isBusy(site) ? BUSY_MS : engine.refills.take(site);
      if (waitMs > 0) await delay(clock, waitMs);
    }
    const found = engine.lookUp(lookup);
    // Renewed, purged or evicted since.
    if (this.#closed || typeof found === 'string' || found.asOf >= sequence) return;
    engine.filler.refresh(lookup, found);
  }

  #lookupFor(object: Stale, site: ServedSite): Lookup | undefined {
    const { inputs, keyedBy } = site.keying;
    if (Object.values(CLASS_FIELDS).some((name) => inputs.includes(name.toLowerCase()))) {
      return undefined;
    }
    const host = site.hosts.find((pattern) => !pattern.startsWith('*')) ?? 'localhost';
    const request = rebuiltRequest(object, inputs, host);
    if (request === undefined) return undefined;
    return {
      site,
      key: object.key,
      keySelector: keySelector(inputs, request.fields),
      keyedBy,
      request,
      upstreamFields: () => this.#options.upstreamFields(request),
      client: { inform: () => undefined },
      fromTier: false,
      askingFence: 0,
      changed: false,
    };
  }
}
