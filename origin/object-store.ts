import type { Readable } from 'node:stream';
import type { ByteRange } from '#core/http/ranges.ts';

/** What is known of a stored object. A replaced object is another generation of the same path. */
export interface OriginObject {
  readonly site: string;
  /** Normalised, see `normalizePath`. */
  readonly path: string;
  /** Names this content among all that the path has had. */
  readonly generation: string;
  /** Strong entity tag, with its quotes: the SHA-256 of the content. */
  readonly etag: string;
  /** Bytes of content. */
  readonly size: number;
  readonly contentType: string;
  /** `Cache-Control` to serve it with. */
  readonly cacheControl: string | undefined;
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

export interface Upload {
  readonly content: AsyncIterable<Buffer>;
  /** Bytes announced, if any were: fewer or more fail the upload. */
  readonly size: number | undefined;
  readonly contentType: string;
  readonly cacheControl: string | undefined;
  readonly admit: Admission;
  /** By a publisher, now, where it is left out. */
  readonly written?: Written;
}

export interface ListOptions {
  /** What the paths begin with, in their normalised spelling. */
  readonly prefix: string;
  /** Only paths behind this one. */
  readonly after: string;
  /** At most so many objects. */
  readonly limit: number;
}

/** The content of all sites, on whatever medium. */
export interface ObjectStore {
  /** Names this store and its order of changes; a store made anew has another. */
  readonly id: string;
  find(site: string, path: string): Promise<OriginObject | undefined>;
  /**
   * The content of exactly this generation, or a part of it. Must be read or destroyed.
   * @returns `undefined` if it has been replaced or deleted since it was found
   */
  read(object: OriginObject, range?: ByteRange): Promise<Readable | undefined>;
  /**
   * Stores a whole upload, or changes nothing.
   * @throws CanopyError `insufficient-storage`; `invalid-request` if the size is not as announced,
   * or a replica's content is not what its entity tag says
   */
  put(
    site: string,
    path: string,
    upload: Upload,
  ): Promise<{ readonly object: OriginObject; readonly created: boolean }>;
  /** @returns whether there was one */
  delete(site: string, path: string, admit: Admission, written?: Written): Promise<boolean>;
  /** At most `limit` paths that changed after change `after`, in the order of their changes. */
  changes(after: number, limit: number): Promise<readonly Change[]>;
  /** The last thing that is known of a path, deletions included. */
  latest(site: string, path: string): Promise<Version | undefined>;
  /** In the order of their paths. */
  list(site: string, options: ListOptions): Promise<readonly OriginObject[]>;
  readonly totals: { readonly objects: number; readonly bytes: number };
  close(): Promise<void>;
}
