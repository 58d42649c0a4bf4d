import type { LogSettings } from '#core/contract/log.ts';
import { type AddressPart, truncateAddress } from './address.ts';
import { AccessEntry, type LogPlace } from './entry.ts';
import { type FormatLine, FORMATS, type LogFormat, MAX_LINE_BYTES } from './format.ts';
import { type Mask, maskOf } from './mask.ts';

/** What an access log has of requests, for all sites of a node. */
export interface LogContent {
  readonly format: LogFormat;
  /** The part of the requests that is in the log, 0 to 1. */
  readonly sample: number;
  readonly addresses: AddressPart;
  /** Query parameters whose values are not in the log. */
  readonly mask: readonly string[];
}

/** Lines on their way to the thread that writes them. */
export interface Lines {
  readonly memory: ArrayBuffer;
  readonly bytes: number;
  readonly count: number;
}

export interface ThreadLogOptions {
  readonly content: LogContent;
  readonly node: string;
  /** Takes lines over; their memory comes back by `returned`. */
  readonly post: (lines: Lines) => void;
  /** 0 to 1; `Math.random` where left out. */
  readonly random?: () => number;
  /** Runs it once what is under way has been dealt with; `setImmediate` where left out. */
  readonly later?: (callback: () => void) => void;
}

/** Entries that are kept until they are made lines together. */
const ENTRIES = 256;
const ENOUGH_ENTRIES = 128;
/** Bytes of lines that are handed over together. */
export const LINES_BYTES = 2 * MAX_LINE_BYTES;
/** So often what has been handed over may not have come back; then lines are dropped. */
export const MAX_HANDED_OVER = 16;

/**
 * The access log in one serving thread. A request fills an entry, no more; entries are made lines
 * many at a time, between requests, and lines go to the main thread. Nothing here waits: when the
 * main thread cannot get rid of the lines, they are dropped and counted.
 */
export class ThreadLog {
  /** Requests whose lines found no room. */
  dropped = 0;
  readonly #options: ThreadLogOptions;
  readonly #line: FormatLine;
  readonly #mask: Mask | undefined;
  readonly #random: () => number;
  readonly #later: (callback: () => void) => void;
  readonly #entries = Array.from({ length: ENTRIES }, () => new AccessEntry());
  readonly #free: ArrayBuffer[] = [];
  #place: LogPlace;
  #filled = 0;
  /** Lines that are not handed over yet. */
  #lines: Buffer | undefined;
  #bytes = 0;
  #count = 0;
  #handedOver = 0;

  constructor(options: ThreadLogOptions) {
    this.#options = options;
    this.#line = FORMATS[options.content.format];
    this.#mask = maskOf(options.content.mask);
    this.#random = options.random ?? Math.random;
    this.#later = options.later ?? setImmediate;
    this.#place = { node: options.node, location: '' };
  }

  /** Where the node is, as lines say from now on. */
  locate(location: string): void {
    this.#place = { node: this.#options.node, location };
  }

  /**
   * The part of requests like this one that is in the log: 0 unless this one is.
   * @param site settings of the request's site, if it has one
   */
  sampled(site: LogSettings | undefined, status: number): number {
    if (site?.enabled === false) return 0;
    if (status >= 500 && site?.errors !== false) return 1;
    const part = this.#options.content.sample * (site?.sample ?? 1);
    return part >= 1 || this.#random() < part ? part : 0;
  }

  /** What of an address may be in the log. */
  addressOf(address: string, site: LogSettings | undefined): string {
    const { addresses } = this.#options.content;
    if (addresses === 'none') return '';
    const whole = addresses === 'whole' && site?.truncateAddress !== true;
    return whole ? address : truncateAddress(address);
  }

  /** An entry for one more request, to be filled at once. What it held before is still in it. */
  next(): AccessEntry {
    if (this.#filled === ENTRIES) this.#makeLines();
    const entry = this.#entries[this.#filled] as AccessEntry;
    this.#filled++;
    if (this.#filled === ENOUGH_ENTRIES) this.#later(() => this.#makeLines());
    return entry;
  }

  /** Hands over all there is. */
  flush(): void {
    this.#makeLines();
    this.#handOver();
  }

  /** What was handed over has been written, or given up. */
  returned(memory: ArrayBuffer): void {
    this.#handedOver--;
    this.#free.push(memory);
  }

  #makeLines(): void {
    for (let i = 0; i < this.#filled; i++) {
      const entry = this.#entries[i] as AccessEntry;
      if (this.#mask !== undefined) {
        entry.target = this.#mask(entry.target);
        entry.referer = this.#mask(entry.referer);
      }
      const line = this.#line(entry, this.#place);
      if (this.#lines !== undefined && this.#bytes + line.length > LINES_BYTES) this.#handOver();
      const lines = (this.#lines ??= this.#room());
      if (lines === undefined) this.dropped++;
      else {
        this.#bytes += lines.write(line, this.#bytes, 'latin1');
        this.#count++;
      }
      // What clients sent is not to be held longer than it is wanted.
      entry.target = entry.referer = entry.userAgent = entry.host = '';
      entry.requestId = entry.traceparent = '';
    }
    this.#filled = 0;
  }

  #room(): Buffer | undefined {
    if (this.#handedOver >= MAX_HANDED_OVER) return undefined;
    return Buffer.from(this.#free.pop() ?? new ArrayBuffer(LINES_BYTES));
  }

  #handOver(): void {
    const lines = this.#lines;
    if (lines === undefined) return;
    const handed = {
      memory: lines.buffer as ArrayBuffer,
      bytes: this.#bytes,
      count: this.#count,
    };
    this.#lines = undefined;
    this.#bytes = 0;
    this.#count = 0;
    this.#handedOver++;
    this.#options.post(handed);
  }
}
