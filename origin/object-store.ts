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
  /** When it was put, ms since the Unix epoch. */
  readonly lastModifiedMs: number;
}

/** Decides over what is there at the moment of a change; throws to prevent it. */
export type Admission = (current: OriginObject | undefined) => void;

export interface Upload {
  readonly content: AsyncIterable<Buffer>;
  /** Bytes announced, if any were: fewer or more fail the upload. */
  readonly size: number | undefined;
  readonly contentType: string;
  readonly cacheControl: string | undefined;
  readonly admit: Admission;
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
  find(site: string, path: string): Promise<OriginObject | undefined>;
  /**
   * The content of exactly this generation, or a part of it. Must be read or destroyed.
   * @returns `undefined` if it has been replaced or deleted since it was found
   */
  read(object: OriginObject, range?: ByteRange): Promise<Readable | undefined>;
  /**
   * Stores a whole upload, or changes nothing.
   * @throws CanopyError `insufficient-storage`, `invalid-request` if the size is not as announced
   */
  put(
    site: string,
    path: string,
    upload: Upload,
  ): Promise<{ readonly object: OriginObject; readonly created: boolean }>;
  /** @returns whether there was one */
  delete(site: string, path: string, admit: Admission): Promise<boolean>;
  /** In the order of their paths. */
  list(site: string, options: ListOptions): Promise<readonly OriginObject[]>;
  readonly totals: { readonly objects: number; readonly bytes: number };
  close(): Promise<void>;
}
