/** What has become of lines. */
export class LogCounts {
  /** Written, or taken by the receiver. */
  records = 0;
  bytes = 0;
  /** Given up: the disk was full, or the receiver would not have them. */
  failed = 0;
  /** Batches sent again. */
  retries = 0;
}

/** Where the lines of a node go. Its owner calls one method at a time. */
export interface LogSink {
  /**
   * Takes whole lines; resolves when it has room for more and `lines` may be used anew. Counts
   * what becomes of them, and never throws.
   * @param count how many lines they are
   */
  write(lines: Uint8Array, count: number): Promise<void>;
  /** Opens anew what somebody else may have moved away. */
  reopen(): Promise<void>;
  /** Resolves when all is written, or given up after `graceMs`. */
  close(graceMs: number): Promise<void>;
}

/** What a sink says of trouble: once as it begins, once as it ends. */
export interface SinkLog {
  warn(fields: object, message: string): void;
  info(fields: object, message: string): void;
}
