import type { Continent } from '#core/contract/routing.ts';
import type { Prefix } from './prefix.ts';

/** A point on the globe, degrees. */
export interface Point {
  readonly latitude: number;
  readonly longitude: number;
}

/** How it is known where a client is. */
export type PlaceSource =
  /** A database of cities, with the radius in which the client is. */
  | 'city'
  /** Only the country is known: one of the places where its people live. */
  | 'country'
  /** The operator has said where those are whom no database knows. */
  | 'configured'
  /** Private, special, or in no database: every edge is as near as any other. */
  | 'unknown';

/** All that is known of a client, or of the network that its resolver tells of. */
export interface Client {
  /** The largest network around it of which all of this holds. */
  readonly network: Prefix;
  /** Telling clients apart where chance is to decide: the same for all of the network. */
  readonly key: string;
  readonly asn?: number;
  readonly country?: string;
  readonly continent?: Continent;
  readonly source: PlaceSource;
  /** Where it is taken to be, within what is known; absent only with `unknown`. */
  readonly point?: Point;
}
