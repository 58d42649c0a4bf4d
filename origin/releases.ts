import type { Logger } from 'pino';
import { type Cancel, type Clock, delay } from '#core/clock.ts';
import type { Config, CurrentRelease } from '#core/contract/event.ts';
import {
  type Manifest,
  manifestSchema,
  type Prepared,
  type Retirement,
} from '#core/contract/release.ts';
import { validate } from '#core/contract/validate.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import { isAs } from './decisions.ts';
import { mediaTypeOf } from '#core/http/media-type.ts';
import type { ObjectStore, Publication } from './object-store.ts';

/** How long a switch may hold up the journal; beyond it the site alone waits. */
const SWITCH_MS = 5_000;
/** Until a switch that failed is tried again. */
const RETRY_MS = 2_000;
/** Contents that are obtained at once. */
const OBTAINED_AT_ONCE = 8;

export interface ReleasesOptions {
  readonly store: ObjectStore;
  /**
   * Puts a content that another origin has.
   * @returns false if there is none that has it
   * @throws CanopyError if one that may have it cannot be reached
   */
  readonly obtain: (site: string, digest: string) => Promise<boolean>;
  readonly clock: Clock;
  readonly log: Logger;
}

type Objects = Publication['objects'];

/**
 * Switches sites to the releases that the journal names. A site that cannot be switched yet is not
 * served meanwhile: whoever asks knows of the switch, or soon will.
 */
export class Releases {
  readonly #options: ReleasesOptions;
  /** What the journal names, by site. */
  #current: Readonly<Record<string, CurrentRelease>> = {};
  /** Sites that are yet to be switched. */
  readonly #behind = new Map<string, Promise<void>>();
  /** Sites that a release was prepared for. */
  readonly #prepared = new Set<string>();
  #cancelRetry: Cancel | undefined;
  #closed = false;

  constructor(options: ReleasesOptions) {
    this.#options = options;
  }

  /** Resolves once every site is switched, or cannot be as yet. */
  async configure({ releases = {} }: Pick<Config, 'releases'>): Promise<void> {
    this.#current = releases;
    await this.#switchAll();
  }

  /** Whether the site has, or is about to have, releases: it is then served as of its fence only. */
  has(site: string): boolean {
    return this.#current[site] !== undefined || this.#prepared.has(site);
  }

  /** Whether the site is served as of the release that the journal names, as far as that is known within `timeoutMs`. */
  async isCurrent(site: string, timeoutMs: number): Promise<boolean> {
    const switching = this.#behind.get(site);
    if (switching !== undefined) await this.#within(switching, timeoutMs);
    return !this.#behind.has(site);
  }

  /** The event that the site's objects are as of; `undefined` where there is none. */
  vouched(site: string): number | undefined {
    const current = this.#current[site];
    return current !== undefined && this.#isSwitched(site, current) ? current.sequence : undefined;
  }

  /**
   * Holds all that a release needs, fetched from other origins where it is missing here.
   * @param manifest a content of the site
   * @returns what the release would change
   * @throws CanopyError `content-missing`
   */
  async prepare(site: string, id: string, manifest: string): Promise<Prepared> {
    const { store } = this.#options;
    const { objects, deleted } = await this.#read(site, manifest);
    const digests = [...new Set([manifest, ...objects.map(({ digest }) => digest)])];
    const missing = await this.#obtainAll(site, digests);
    if (missing.length > 0) {
      throw new CanopyError('content-missing', `${site} has no content ${missing.join(', ')}`);
    }
    await store.hold(site, `release-${id}`, digests);
    this.#prepared.add(site);
    const [added, changed, gone]: string[][] = [[], [], []];
    let bytes = 0;
    let latestMs = 0;
    for (const object of objects) {
      bytes += (await store.content(site, object.digest))?.size ?? 0;
      const found = await store.find(site, object.path);
      if (isAs(found, object)) continue;
      (found === undefined ? added : changed)?.push(object.path);
    }
    for (const path of deleted) if (await store.find(site, path)) gone?.push(path);
    const differing = { added: added ?? [], changed: changed ?? [], deleted: gone ?? [] };
    for (const path of Object.values(differing).flat()) {
      latestMs = Math.max(latestMs, (await store.latest(site, path))?.atMs ?? 0);
    }
    return { ...differing, latestMs, bytes };
  }

  /**
   * Removes the objects of a manifest that are as it has them, but for paths of other manifests.
   * @returns their paths
   */
  async retire(
    site: string,
    { manifest, except }: Retirement,
    written: Publication['written'],
  ): Promise<readonly string[]> {
    const { store } = this.#options;
    const kept = new Set<string>();
    for (const other of except) {
      for (const { path } of (await this.#read(site, other)).objects) kept.add(path);
    }
    const deleted: string[] = [];
    for (const object of (await this.#read(site, manifest)).objects) {
      if (kept.has(object.path)) continue;
      if ((await store.find(site, object.path))?.digest === object.digest)
        deleted.push(object.path);
    }
    if (deleted.length > 0) {
      await store.publish(site, {
        objects: [],
        deleted,
        ...(written !== undefined && { written }),
      });
    }
    return deleted;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelRetry?.();
    await Promise.all(this.#behind.values());
  }

  async #switchAll(): Promise<void> {
    for (const [site, current] of Object.entries(this.#current)) {
      if (this.#isSwitched(site, current)) continue;
      const before = this.#behind.get(site) ?? Promise.resolve();
      const switching = before.then(() => this.#switchSafely(site));
      this.#behind.set(site, switching);
      await this.#within(switching, SWITCH_MS);
    }
  }

  async #switchSafely(site: string): Promise<void> {
    try {
      const current = this.#current[site];
      if (current !== undefined && !this.#isSwitched(site, current)) {
        await this.#switch(site, current);
      }
      // Unless it is to be switched again already.
      const next = this.#current[site];
      if (next === undefined || this.#isSwitched(site, next)) this.#behind.delete(site);
    } catch (error) {
      if (this.#closed) return;
      this.#options.log.error(`Could not switch ${site} to its release: ${messageOf(error)}`);
      this.#cancelRetry?.();
      this.#cancelRetry = this.#options.clock.after(RETRY_MS, () => void this.#switchAll());
    }
  }

  async #switch(site: string, { id, sequence, manifest, atMs }: CurrentRelease): Promise<void> {
    const { store, log } = this.#options;
    const isThere = (await this.#obtainAll(site, [manifest])).length === 0;
    const { objects, deleted } = isThere
      ? await this.#read(site, manifest)
      : { objects: [], deleted: [] };
    const digests = [...new Set(objects.map(({ digest }) => digest))];
    const missing = new Set(await this.#obtainAll(site, digests));
    if (!isThere || missing.size > 0) {
      // No origin has it any more, so waiting is of no use; putting it again is.
      log.error({ site, release: id }, `${isThere ? missing.size : 'All'} contents are lost`);
    }
    const lost = objects.filter(({ digest }) => missing.has(digest)).map(({ path }) => path);
    const kept = objects.filter(({ digest }) => !missing.has(digest));
    await store.release(site, {
      id,
      sequence,
      atMs,
      objects: kept,
      deleted: [...deleted, ...lost],
    });
  }

  #isSwitched(site: string, { id, sequence }: CurrentRelease): boolean {
    const released = this.#options.store.released(site);
    return released?.id === id && released.sequence === sequence;
  }

  /** @returns those that nobody has */
  async #obtainAll(site: string, digests: readonly string[]): Promise<readonly string[]> {
    const { store, obtain } = this.#options;
    const missing = await store.missing(site, digests);
    const lost: string[] = [];
    for (let i = 0; i < missing.length; i += OBTAINED_AT_ONCE) {
      const some = missing.slice(i, i + OBTAINED_AT_ONCE);
      const obtained = await Promise.all(some.map((digest) => obtain(site, digest)));
      lost.push(...some.filter((_, at) => obtained[at] === false));
    }
    return lost;
  }

  /** @throws CanopyError `content-missing`, `invalid-input` */
  async #read(
    site: string,
    digest: string,
  ): Promise<{ readonly objects: Objects; readonly deleted: readonly string[] }> {
    const { store } = this.#options;
    await this.#obtainAll(site, [digest]);
    const content = await store.content(site, digest);
    const body = content && (await store.read(content));
    if (body === undefined) {
      throw new CanopyError('content-missing', `${site} has no manifest ${digest}`);
    }
    const text = Buffer.concat(await body.toArray()).toString();
    const { objects, deleted }: Manifest = validate(manifestSchema, JSON.parse(text), 'manifest');
    return {
      objects: objects.map(({ path, digest: of, contentType, cacheControl }) => ({
        path,
        digest: of,
        contentType: contentType ?? mediaTypeOf(path),
        cacheControl,
      })),
      deleted,
    };
  }

  async #within(work: Promise<void>, timeoutMs: number): Promise<void> {
    await Promise.race([work, delay(this.#options.clock, timeoutMs)]);
  }
}
