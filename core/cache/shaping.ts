import type { Fields } from '#core/http/fields.ts';
import type { ClientRequest } from '#core/http/request.ts';
import type { Answer } from './answer.ts';
import type { CacheEngine, Lookup } from './engine.ts';
import type { Arriving } from './fill.ts';
import type { StoredObject } from './object.ts';

/** A representation that is made while it is sent. */
export interface Streamed {
  readonly kind: 'streamed';
  readonly status: number;
  readonly fields: Fields;
  /** Either this or `release` is called, once, and in the same turn of the event loop. */
  readonly content: () => readonly Buffer[] | AsyncIterable<Buffer>;
  readonly release: () => void;
  /** As its preconditions are to be read. */
  readonly request: ClientRequest;
}

/** A representation that is there whole. */
export interface Whole {
  readonly kind: 'whole';
  readonly object: StoredObject;
  /** As its preconditions are to be read. */
  readonly request: ClientRequest;
}

export interface AsIs {
  readonly kind: 'as-is';
  readonly fields: Fields;
}

/** `ask-origin`: nothing that suits the client can be made of it. */
export type Shaped = Whole | Streamed | 'ask-origin';

/**
 * What one client gets of representations: the tier's choice, made before conditions and ranges are
 * looked at, since those are of the representation that is chosen (RFC 9110 §12, §13.2.1, §14.2).
 */
export interface Shaping {
  /** Of an object that was looked up, or has just been stored. */
  stored(engine: CacheEngine, lookup: Lookup, source: StoredObject): Shaped | Promise<Shaped>;
  /**
   * Of what is on its way.
   * @param fields as they would be sent
   * @returns what has `as-is` is sent with these fields
   */
  arriving(
    engine: CacheEngine,
    lookup: Lookup,
    source: Arriving,
    fields: Fields,
  ): Shaped | AsIs | Promise<Shaped | AsIs>;
  /** Of an answer to this client alone. */
  passed(
    engine: CacheEngine,
    lookup: Lookup,
    answer: Pick<Answer, 'status' | 'fields' | 'content' | 'tunnel'>,
  ): Pick<Answer, 'status' | 'fields' | 'content' | 'tunnel'> | 'ask-origin';
  /** The request as the client sent it, for an origin that is to answer just that. */
  asAsked(lookup: Lookup): Lookup;
}
