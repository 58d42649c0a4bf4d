import type { Socket } from 'node:net';

/** What a lane has made of the bytes that it was shown. */
export type LaneVerdict =
  /** A request, up to `end`, is answered. */
  | 'answered'
  /** A request without content, up to `end`, is for `handle`. */
  | 'passed'
  /** More bytes will tell. */
  | 'incomplete'
  /** No request that the lane understands: this connection is for others from here on. */
  | 'foreign';

/** Answers requests of HTTP/1.1 from their bytes, before they are parsed in full. */
export interface Lane {
  /** Where the request ends that was `answered` or `passed`. */
  readonly end: number;
  /** Whether requests of a connection may be answered. */
  mayServe(connection: Socket): boolean;
  /**
   * Reads the request that begins at `start`, and writes its answer to the connection if it has one.
   * @param bytes up to `limit`; of others as soon as it returns
   * @param keepAliveMs how long the connection may be idle after, the same for all of a thread
   */
  take(
    bytes: Buffer,
    start: number,
    limit: number,
    connection: Socket,
    keepAliveMs: number,
  ): LaneVerdict;
}
