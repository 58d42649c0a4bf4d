import type { Readable } from 'node:stream';
import type { ByteRange } from '#core/http/ranges.ts';

/** Bytes that a site has, by what they are; whatever paths, versions and holds refer to them. */
export interface Content {
  readonly site: string;
  /** SHA-256, in 64 lower-case hexadecimal digits. */
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
}

/** How a content is served at a path. */
export interface Delivery {
  readonly contentType: string;
  /** `Cache-Control` to serve it with. */
  readonly cacheControl: string | undefined;
}

/** What is known of a stored object. */
export interface OriginObject extends Content, Delivery {
  /** Normalised, see `normalizePath`. */
  readonly path: string;
  /** Strong entity tag: the digest in quotes. */
  readonly etag: string;
  /** When it was put, ms since the Unix epoch; of two versions of a path the later one counts. */
  readonly lastModifiedMs: number;
}

/** Where a change came from, and what time it goes by. */
export type Written =
  /** A publisher's: the latest there is, so that its time is moved behind what is there if need be. */
  | { readonly by: 'publisher'; readonly atMs: number }
  /** Another replica's: what is not later than what is here changes nothing. */
  | { readonly by: 'replica'; readonly atMs: number; readonly etag: string };

/** The last thing that happened to a path. */
export interface Change {
  /** Its place in the order in which this store saw changes. */
  readonly change: number;
  readonly site: string;
  readonly path: string;
  /** Ms since the Unix epoch. */
  readonly atMs: number;
  /** What is there since; `null`: it was deleted. */
  readonly object: Pick<OriginObject, 'etag' | 'size' | 'contentType' | 'cacheControl'> | null;
}

/** What orders the versions of a path. */
export interface Version {
  readonly atMs: number;
  /** Empty: deleted. */
  readonly etag: string;
}

/** Whether `version` replaces `known` on every replica, in whatever order they hear of the two. */
export const isLater = (version: Version, known: Version | undefined): boolean =>
  known === undefined ||
  version.atMs > known.atMs ||
  (version.atMs === known.atMs && version.etag > known.etag);

/** Decides over what is there at the moment of a change; throws to prevent it. */
export type Admission = (current: OriginObject | undefined) => void;

/** Bytes on their way in. */
export interface Incoming {
  readonly content: AsyncIterable<Buffer>;
  /** Bytes announced, if any were: fewer or more fail the upload. */
  readonly size: number | undefined;
  /** The digest announced, if one was: other content fails the upload. */
  readonly digest?: string | undefined;
}

export interface Upload extends Incoming, Delivery {
  readonly admit: Admission;
  /** By a publisher, now, where it is left out. */
  readonly written?: Written;
}

/** Changes of a site's objects that happen all at once, or not at all. */
export interface Publication {
  /** What contents that are there already are to be found at. */
  readonly objects: readonly (Delivery & { readonly path: string; readonly digest: string })[];
  /** Paths without an object afterwards, whether or not there is one now. */
  readonly deleted: readonly string[];
  /** By a publisher, now, where it is left out. */
  readonly written?: Written;
}

/** The release that a site was last switched to. */
export interface Released {
  readonly id: string;
  /** Of the event that switched to it. */
  readonly sequence: number;
}

/** What a site's objects are from one event on, but where something later is there already. */
export interface Release extends Released, Pick<Publication, 'objects' | 'deleted'> {
  /** The time of all of it, ms since the Unix epoch; the same on all replicas. */
  readonly atMs: number;
}

export interface ListOptions {
  /** What the paths begin with, in their normalised spelling. */
  readonly prefix: string;
  /** Only paths behind this one. */
  readonly after: string;
  /** At most so many objects. */
  readonly limit: number;
}

/** What a site, or all of them, take up. */
export interface Usage {
  readonly objects: number;
  /** Of all contents kept, each counted once: of versions and contents without a path, too. */
  readonly bytes: number;
}

/** What a site may take up; `null`: as much as there is. */
export interface SiteLimits {
  readonly maxObjects: number | null;
  readonly maxBytes: number | null;
  /** Replaced or deleted versions kept of each path. */
  readonly keepVersions: number;
}

/** What a collection has freed. */
export interface Collected {
  readonly contents: number;
  readonly bytes: number;
}

/** A content that has been read and compared with its digest. */
export interface Checked extends Content {
  readonly isSound: boolean;
}

/** The content of all sites, on whatever medium. */
export interface ObjectStore {
  /** Names this store and its order of changes; a store made anew has another. */
  readonly id: string;
  find(site: string, path: string): Promise<OriginObject | undefined>;
  /**
   * A content, or a part of it. Must be read or destroyed. A whole one that turns out not to be what
   * its digest says fails before its last bytes.
   * @returns `undefined` if it is no longer kept
   * @throws CanopyError `internal-error` if it is known to be damaged
   */
  read(content: Content, range?: ByteRange): Promise<Readable | undefined>;
  /**
   * Stores a whole upload, or changes nothing.
   * @throws CanopyError `insufficient-storage`, `quota-exceeded`, `content-too-large`;
   * `invalid-request` if the size, `digest-mismatch` if the digest is not as announced
   */
  put(
    site: string,
    path: string,
    upload: Upload,
  ): Promise<{ readonly object: OriginObject; readonly created: boolean }>;
  /** @returns whether there was one */
  delete(site: string, path: string, admit: Admission, written?: Written): Promise<boolean>;

  /** A content that is there and, as far as is known, undamaged. */
  content(site: string, digest: string): Promise<Content | undefined>;
  /** Those of `digests` that have to be put; the others are kept for a day at least. */
  missing(site: string, digests: readonly string[]): Promise<readonly string[]>;
  /**
   * Stores a content without a path. One that nothing refers to within a day is collected.
   * @throws CanopyError as `put`
   */
  putContent(
    site: string,
    incoming: Incoming,
  ): Promise<{ readonly content: Content; readonly created: boolean }>;
  /**
   * Makes all changes at one moment: no reader, and no restart, sees some of them.
   * @throws CanopyError `content-missing` if one of the contents is not there
   */
  publish(site: string, publication: Publication): Promise<void>;
  /**
   * Switches a site to a release at one moment. What is as it is to be stays untouched.
   * @throws CanopyError `content-missing` if one of the contents is not there
   */
  release(site: string, release: Release): Promise<void>;
  released(site: string): Released | undefined;
  /**
   * Keeps contents under a name, whatever becomes of the paths that had them; in the place of what
   * the name held before. None: lets them go.
   * @throws CanopyError `content-missing` if one of the contents is not there
   */
  hold(site: string, name: string, digests: readonly string[]): Promise<void>;
  /** Earlier objects of a path that are kept, the latest first. */
  versions(site: string, path: string): Promise<readonly OriginObject[]>;

  /** At most `limit` paths that changed after change `after`, in the order of their changes. */
  changes(after: number, limit: number): Promise<readonly Change[]>;
  /** The last thing that is known of a path, deletions included. */
  latest(site: string, path: string): Promise<Version | undefined>;
  /** The last change of a replica's store that has been taken over here; 0: none. */
  followed(replica: string, store: string): number;
  follow(replica: string, store: string, change: number): void;
  /** In the order of their paths. */
  list(site: string, options: ListOptions): Promise<readonly OriginObject[]>;
  usage(site: string): Usage;
  limits(site: string): SiteLimits;
  readonly totals: Usage;
  /**
   * Reads the content that was checked longest ago, and before the time given.
   * @returns `undefined` if there is none
   */
  checkNext(checkedBeforeMs: number): Promise<Checked | undefined>;
  /** Contents that are damaged, up to a thousand. */
  damaged(): readonly Content[];
  readonly damagedContents: number;
  /** Frees contents that nothing has referred to for a day, and whatever crashes have left behind. */
  collect(): Promise<Collected>;
  close(): Promise<void>;
}
