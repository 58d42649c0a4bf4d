import type { Readable } from 'node:stream';
import type { Logger } from 'pino';
import type { Clock } from '#core/clock.ts';
import { CanopyError } from '#core/errors.ts';
import type { ByteRange } from '#core/http/ranges.ts';
import type { Bodies } from './bodies.ts';
import { type Ask, type ChangeLog, Commits } from './commits.ts';
import { checked, MeasuredContent } from './content-check.ts';
import { Decisions } from './decisions.ts';
import { HeldBodies } from './held-bodies.ts';
import { sqliteCode } from './index-database.ts';
import type { KeptContent, ObjectIndex } from './object-index.ts';
import type {
  Admission,
  Change,
  Checked,
  Collected,
  Content,
  Incoming,
  ListOptions,
  ObjectStore,
  OriginObject,
  Publication,
  Release,
  Released,
  SiteLimits,
  Upload,
  Usage,
  Version,
  Written,
} from './object-store.ts';

export interface IndexedStoreOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly index: ObjectIndex;
  readonly bodies: Bodies;
  /** Left out: the index itself lasts. */
  readonly changeLog?: ChangeLog | undefined;
  readonly limitsOf?: ((site: string) => SiteLimits) | undefined;
  /** Told of every content that turns out to be damaged, once. */
  readonly onDamaged?: ((content: Content) => void) | undefined;
  /** What else is to be closed. */
  readonly onClose?: (() => Promise<void>) | undefined;
}

/** How long a content is kept that nothing refers to: time to put the others, and to publish them. */
export const UNREFERENCED_KEPT_MS = 86_400_000;

/** Contents dropped in one commit. */
const DROPPED_AT_ONCE = 1000;

/** Damaged contents that are told at once. */
const MOST_DAMAGED = 1000;

export const UNLIMITED: SiteLimits = { maxObjects: null, maxBytes: null, keepVersions: 0 };

/**
 * Objects as an index over bodies. A body is durable under a name of its own before the index
 * refers to it, and removed after the index has ceased to, so a crash can leave a body without a
 * reference, never the reverse.
 */
export class IndexedStore implements ObjectStore {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #index: ObjectIndex;
  readonly #bodies: Bodies;
  readonly #commits: Commits;
  readonly #decisions: Decisions;
  readonly #limitsOf: (site: string) => SiteLimits;
  readonly #onDamaged: (content: Content) => void;
  readonly #onClose: (() => Promise<void>) | undefined;
  readonly #held: HeldBodies;
  /** When contents without a reference were last said to be there, by site and digest. */
  readonly #promised = new Map<string, number>();
  readonly #startedAtMs: number;
  readonly #swept: Promise<void>;

  constructor(options: IndexedStoreOptions) {
    const { clock, log, index, bodies, changeLog, limitsOf = () => UNLIMITED } = options;
    this.#clock = clock;
    this.#log = log;
    this.#index = index;
    this.#bodies = bodies;
    this.#held = new HeldBodies(bodies, (body) => index.hasBody(body), log);
    this.#limitsOf = limitsOf;
    this.#onDamaged = options.onDamaged ?? (() => undefined);
    this.#onClose = options.onClose;
    this.#startedAtMs = clock.now();
    this.#commits = new Commits(index, changeLog, (body) => this.#held.removeBehind(body));
    const isPromised = (content: Content): boolean =>
      this.#promised.has(keyOf(content.site, content.digest));
    this.#decisions = new Decisions({ index, limitsOf, isPromised });
    this.#swept = this.#held.sweep();
  }

  get id(): string {
    return this.#index.id;
  }

  get totals(): Usage {
    return this.#index.totals;
  }

  usage(site: string): Usage {
    return this.#index.usage(site);
  }

  limits(site: string): SiteLimits {
    return this.#limitsOf(site);
  }

  async find(site: string, path: string): Promise<OriginObject | undefined> {
    return this.#index.get(site, path);
  }

  async list(site: string, options: ListOptions): Promise<readonly OriginObject[]> {
    return this.#index.list(site, options);
  }

  async versions(site: string, path: string): Promise<readonly OriginObject[]> {
    return this.#index.versions(site, path);
  }

  async changes(after: number, limit: number): Promise<readonly Change[]> {
    return this.#index.changes(after, limit);
  }

  async latest(site: string, path: string): Promise<Version | undefined> {
    return this.#index.latest(site, path);
  }

  followed(replica: string, store: string): number {
    return this.#index.followed(replica, store);
  }

  follow(replica: string, store: string, change: number): void {
    this.#index.follow(replica, store, change);
  }

  async read({ site, digest }: Content, range?: ByteRange): Promise<Readable | undefined> {
    const content = this.#index.content(site, digest);
    if (content === undefined) return undefined;
    if (content.isDamaged) throw damaged(content, 'it was found so before');
    let body: Readable | undefined;
    try {
      body = await this.#bodies.read(content.body, content.size, range);
    } catch (error) {
      if (error instanceof CanopyError && error.code === 'internal-error') this.#damage(content);
      throw error;
    }
    if (body !== undefined) {
      return range === undefined ? checked(body, digest, () => this.#damage(content)) : body;
    }
    if (!this.#index.hasBody(content.body)) return undefined;
    this.#damage(content);
    throw damaged(content, 'its body is missing');
  }

  async put(
    site: string,
    path: string,
    upload: Upload,
  ): Promise<{ readonly object: OriginObject; readonly created: boolean }> {
    const { contentType, cacheControl, admit } = upload;
    const written = upload.written ?? this.#now();
    const how = { contentType, cacheControl, admit, written };
    const admitSize = this.#sizeLimit(site, upload, written, this.#index.get(site, path)?.size);
    const { object, created } = await this.#takeIn(
      site,
      upload,
      { written, admitSize },
      (ask, { digest }) => {
        const replaced = this.#decisions.place(ask, { site, digest }, path, how);
        if (replaced === 'later') this.#decisions.dropUnreferenced(ask, site, digest);
        return { object: this.#index.get(site, path), created: replaced === undefined };
      },
    );
    if (object === undefined) throw new CanopyError('not-found', `${path} was deleted later`);
    return { object, created };
  }

  async putContent(
    site: string,
    incoming: Incoming,
  ): Promise<{ readonly content: Content; readonly created: boolean }> {
    const written = this.#now();
    const admitSize = this.#sizeLimit(site, incoming, written);
    return this.#takeIn(site, incoming, { written, admitSize }, (_ask, content, created) => {
      this.#promise(site, content.digest);
      return { content, created };
    });
  }

  async content(site: string, digest: string): Promise<Content | undefined> {
    const content = this.#index.content(site, digest);
    return content === undefined || content.isDamaged ? undefined : content;
  }

  async missing(site: string, digests: readonly string[]): Promise<readonly string[]> {
    const missing: string[] = [];
    for (const digest of new Set(digests)) {
      if ((await this.content(site, digest)) === undefined) missing.push(digest);
      else this.#promise(site, digest);
    }
    return missing;
  }

  async publish(site: string, publication: Publication): Promise<void> {
    const { objects, deleted, written = this.#now() } = publication;
    const how = { admit: () => undefined, written };
    await this.#commit((ask) =>
      this.#withinQuota(site, written, () => {
        this.#decisions.requireContents(
          site,
          objects.map(({ digest }) => digest),
        );
        for (const { path, digest, ...delivery } of objects) {
          this.#decisions.place(ask, { site, digest }, path, { ...delivery, ...how });
        }
        for (const path of deleted) this.#decisions.remove(ask, site, path, how);
      }),
    );
  }

  async release(site: string, release: Release): Promise<void> {
    await this.#commit((ask) => this.#decisions.release(ask, site, release));
  }

  released(site: string): Released | undefined {
    return this.#index.released(site);
  }

  async hold(site: string, name: string, digests: readonly string[]): Promise<void> {
    await this.#commit((ask) => this.#decisions.hold(ask, site, name, digests));
  }

  async delete(
    site: string,
    path: string,
    admit: Admission,
    written: Written = this.#now(),
  ): Promise<boolean> {
    const deleted = await this.#commit((ask) =>
      this.#decisions.remove(ask, site, path, { admit, written }),
    );
    return deleted !== undefined;
  }

  async checkNext(checkedBeforeMs: number): Promise<Checked | undefined> {
    const content = this.#index.nextToCheck(checkedBeforeMs);
    if (content === undefined) return undefined;
    const { site, digest, size, body } = content;
    // Replaced while it is read, it is no concern of anybody.
    const isSound = await this.#readThrough(content);
    if (isSound) this.#index.markChecked(body, this.#clock.now());
    return { site, digest, size, isSound };
  }

  damaged(): readonly Content[] {
    return this.#index.damaged(MOST_DAMAGED);
  }

  get damagedContents(): number {
    return this.#index.damagedCount;
  }

  async collect(): Promise<Collected> {
    const beforeMs = this.#clock.now() - UNREFERENCED_KEPT_MS;
    for (const [key, atMs] of this.#promised) {
      if (atMs < beforeMs) this.#promised.delete(key);
    }
    const collected = { contents: 0, bytes: 0 };
    // What was promised before the start is not known any more.
    const old = this.#startedAtMs < beforeMs ? this.#index.unreferenced(beforeMs) : [];
    for (let i = 0; i < old.length; i += DROPPED_AT_ONCE) {
      const some = old.slice(i, i + DROPPED_AT_ONCE);
      await this.#commit((ask) => {
        for (const { site, digest, size } of some) {
          if (!this.#decisions.dropUnreferenced(ask, site, digest)) continue;
          collected.contents++;
          collected.bytes += size;
        }
      });
    }
    await this.#held.sweep();
    return collected;
  }

  /** Resolves once what earlier runs left behind is gone. */
  get swept(): Promise<void> {
    return this.#swept;
  }

  async close(): Promise<void> {
    await this.#swept;
    await this.#commits.idle();
    await this.#held.idle();
    this.#index.close();
    await this.#onClose?.();
  }

  #now(): Written {
    return { by: 'publisher', atMs: this.#clock.now() };
  }

  /** Writes a content's body, and makes it a content together with what `decide` asks for. */
  async #takeIn<T>(
    site: string,
    incoming: Incoming,
    how: { readonly written: Written; readonly admitSize: (size: number) => void },
    decide: (ask: Ask, content: Content, isNew: boolean) => T,
  ): Promise<T> {
    const measured = new MeasuredContent(incoming, how.admitSize);
    const body = this.#held.next();
    let isNeeded = false;
    try {
      await this.#bodies.write(body, measured);
      const digest = measured.digest();
      const { size } = measured;
      return await this.#commit((ask) =>
        this.#withinQuota(site, how.written, () => {
          const atMs = this.#clock.now();
          isNeeded = this.#decisions.keepContent(ask, site, digest, { body, size, atMs });
          return decide(ask, { site, digest, size }, isNeeded);
        }),
      );
    } catch (error) {
      isNeeded = this.#commits.mayReferTo(body);
      throw storageError(error);
    } finally {
      if (!isNeeded) await this.#held.remove(body);
      else if (!this.#commits.mayReferTo(body)) this.#held.letGo(body);
    }
  }

  async #commit<T>(decide: (ask: Ask) => T): Promise<T> {
    try {
      return await this.#commits.commit(decide);
    } catch (error) {
      throw storageError(error);
    }
  }

  /** What another replica has admitted is not refused here. */
  #withinQuota<T>(site: string, { by }: Written, changes: () => T): T {
    return by === 'replica' ? changes() : this.#decisions.withinQuota(site, changes);
  }

  /**
   * Refuses what cannot fit before it is read, or as soon as that is seen.
   * @param freed bytes that it takes the place of
   */
  #sizeLimit(site: string, incoming: Incoming, { by }: Written, freed = 0): (size: number) => void {
    const { maxBytes } = this.#limitsOf(site);
    const { digest = '', size: announced = 0 } = incoming;
    const isThere = this.#index.content(site, digest) !== undefined;
    if (maxBytes === null || by === 'replica' || isThere) return () => undefined;
    const room = maxBytes - this.#index.usage(site).bytes + freed;
    const admit = (size: number): void => {
      if (size > maxBytes) {
        throw new CanopyError(
          'content-too-large',
          `The content is larger than all that ${site} may take up: ${maxBytes} bytes`,
        );
      }
      if (size > room) {
        throw new CanopyError('quota-exceeded', `${site} has ${room} bytes left of its quota`);
      }
    };
    admit(announced);
    return admit;
  }

  #promise(site: string, digest: string): void {
    this.#promised.set(keyOf(site, digest), this.#clock.now());
  }

  /** @throws CanopyError what says nothing of the content */
  async #readThrough(content: KeptContent): Promise<boolean> {
    try {
      const body = await this.read(content);
      if (body !== undefined) for await (const _chunk of body);
      return true;
    } catch (error) {
      if (error instanceof CanopyError && error.code === 'internal-error') return false;
      throw error;
    }
  }

  #damage(content: KeptContent): void {
    if (!this.#index.markDamaged(content.body)) return;
    this.#log.error(`Content ${content.digest} of ${content.site} is damaged`);
    this.#onDamaged(content);
  }
}

const keyOf = (site: string, digest: string): string => `${site} ${digest}`;

const damaged = ({ site, digest }: Content, how: string): CanopyError =>
  new CanopyError('internal-error', `Content ${digest} of ${site} is damaged: ${how}`);

const SQLITE_FULL = 13;
const DISK_FULL: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT']);

const isFull = (error: unknown): boolean =>
  DISK_FULL.has((error as NodeJS.ErrnoException).code) || sqliteCode(error) === SQLITE_FULL;

const storageError = (error: unknown): unknown =>
  isFull(error)
    ? new CanopyError('insufficient-storage', 'The disk is full', { cause: error })
    : error;
