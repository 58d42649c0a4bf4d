import { CanopyError } from '#core/errors.ts';
import type { Ask } from './commits.ts';
import type { ObjectIndex } from './object-index.ts';
import {
  type Admission,
  type Content,
  type Delivery,
  isLater,
  type OriginObject,
  type Release,
  type SiteLimits,
  type Version,
  type Written,
} from './object-store.ts';

export interface DecisionsOptions {
  readonly index: ObjectIndex;
  readonly limitsOf: (site: string) => SiteLimits;
  /** Whether a content that nothing refers to was promised to someone who is about to. */
  readonly isPromised: (content: Content) => boolean;
}

/** A content's new body. */
export interface NewBody {
  readonly body: string;
  readonly size: number;
  readonly atMs: number;
}

/** Content missing is told for so many, at most. */
const MOST_NAMED = 10;

/** What is changed in the index for what is asked of the store. Each runs within a commit. */
export class Decisions {
  readonly #options: DecisionsOptions;

  constructor(options: DecisionsOptions) {
    this.#options = options;
  }

  /** @returns whether the body is needed: the content was not there, or damaged */
  keepContent(ask: Ask, site: string, digest: string, { body, size, atMs }: NewBody): boolean {
    const there = this.#options.index.content(site, digest);
    if (there !== undefined && !there.isDamaged) return false;
    ask({ kind: 'content', site, digest, body, size, atMs });
    return true;
  }

  /**
   * Puts a content that is there at a path.
   * @returns what it replaces; `'later'`: what is there is later
   */
  place(
    ask: Ask,
    content: Pick<Content, 'site' | 'digest'>,
    path: string,
    how: Delivery & { readonly admit: Admission; readonly written: Written },
  ): OriginObject | undefined | 'later' {
    const { index } = this.#options;
    const { site, digest } = content;
    const { contentType, cacheControl, admit, written } = how;
    const known = index.latest(site, path);
    if (written.by === 'replica' && !isLater(written, known)) return 'later';
    const replaced = index.get(site, path);
    admit(replaced);
    if (replaced !== undefined && replaced.digest !== digest) this.#retire(ask, replaced);
    const atMs = timeOf(written, known);
    const delivery = { contentType, cacheControl: cacheControl ?? null };
    ask({ kind: 'object', site, path, digest, ...delivery, atMs });
    if (replaced !== undefined) this.#prune(ask, site, path, replaced);
    return replaced;
  }

  /** @returns what was there */
  remove(
    ask: Ask,
    site: string,
    path: string,
    { admit, written }: { readonly admit: Admission; readonly written: Written },
  ): OriginObject | undefined {
    const { index } = this.#options;
    const current = index.get(site, path);
    const known = index.latest(site, path);
    if (written.by === 'replica' && !isLater(written, known)) return undefined;
    admit(current);
    if (current === undefined && written.by === 'publisher') return undefined;
    if (current !== undefined) this.#retire(ask, current);
    ask({ kind: 'delete', site, path, atMs: timeOf(written, known) });
    if (current !== undefined) this.#prune(ask, site, path, current);
    return current;
  }

  /** @throws CanopyError `content-missing` */
  release(ask: Ask, site: string, { id, sequence, atMs, objects, deleted }: Release): void {
    const { index } = this.#options;
    const differing = objects.filter((object) => !isAs(index.get(site, object.path), object));
    this.requireContents(
      site,
      differing.map(({ digest }) => digest),
    );
    const at = (etag: string) => ({
      admit: () => undefined,
      // What was published after the switch, and is known here before it, is later.
      written: { by: 'replica' as const, atMs, etag },
    });
    for (const { path, digest, ...delivery } of differing) {
      this.place(ask, { site, digest }, path, { ...delivery, ...at(`"${digest}"`) });
    }
    for (const path of deleted) {
      if (index.get(site, path) !== undefined) this.remove(ask, site, path, at(''));
    }
    ask({ kind: 'release', site, id, sequence });
  }

  hold(ask: Ask, site: string, name: string, digests: readonly string[]): void {
    this.requireContents(site, digests);
    const before = this.#options.index.held(site, name);
    ask({ kind: 'hold', site, name, digests: [...digests] });
    for (const digest of before) this.dropUnreferenced(ask, site, digest);
  }

  /** @throws CanopyError `content-missing` */
  requireContents(site: string, digests: Iterable<string>): void {
    const missing = [...new Set(digests)].filter(
      (digest) => this.#options.index.content(site, digest)?.isDamaged ?? true,
    );
    if (missing.length === 0) return;
    const named = missing.slice(0, MOST_NAMED).join(', ');
    const more = missing.length > MOST_NAMED ? ` and ${missing.length - MOST_NAMED} more` : '';
    throw new CanopyError('content-missing', `${site} has no content ${named}${more}`);
  }

  /** @returns whether it was one that is kept for nobody */
  dropUnreferenced(ask: Ask, site: string, digest: string): boolean {
    const { index, isPromised } = this.#options;
    const content = index.content(site, digest);
    if (content === undefined || index.isReferenced(content) || isPromised(content)) return false;
    ask({ kind: 'drop', site, digest });
    return true;
  }

  /**
   * Runs changes of a site that may not end beyond its quota, unless it was beyond and they add nothing.
   * @throws CanopyError `quota-exceeded`
   */
  withinQuota<T>(site: string, changes: () => T): T {
    const { index, limitsOf } = this.#options;
    const before = index.usage(site);
    const result = changes();
    const after = index.usage(site);
    const limits = limitsOf(site);
    refuseBeyond('objects', before.objects, after.objects, limits.maxObjects, site);
    refuseBeyond('bytes', before.bytes, after.bytes, limits.maxBytes, site);
    return result;
  }

  #retire(ask: Ask, { site, path }: OriginObject): void {
    if (this.#options.limitsOf(site).keepVersions > 0) ask({ kind: 'version', site, path });
  }

  /** Forgets versions beyond those that are kept, and contents that only they had. */
  #prune(ask: Ask, site: string, path: string, replaced: OriginObject): void {
    const { index, limitsOf } = this.#options;
    const beyond = index.versions(site, path).slice(limitsOf(site).keepVersions);
    for (const { lastModifiedMs } of beyond) {
      ask({ kind: 'forget', site, path, atMs: lastModifiedMs });
    }
    for (const { digest } of [replaced, ...beyond]) this.dropUnreferenced(ask, site, digest);
  }
}

/** Whether what is at a path is what is wanted there. */
export const isAs = (
  found: OriginObject | undefined,
  { digest, contentType, cacheControl }: Delivery & Pick<OriginObject, 'digest'>,
): boolean =>
  found?.digest === digest &&
  found.contentType === contentType &&
  found.cacheControl === cacheControl;

function refuseBeyond(
  what: string,
  before: number,
  after: number,
  most: number | null,
  site: string,
): void {
  if (most === null || after <= most || after <= before) return;
  throw new CanopyError(
    'quota-exceeded',
    `${site} would have ${after} ${what}, its quota is ${most}`,
  );
}

/** A publisher's change is later than all before it, whatever the clocks say. */
const timeOf = (written: Written, known: Version | undefined): number =>
  written.by === 'replica' ? written.atMs : Math.max(written.atMs, (known?.atMs ?? -1) + 1);
