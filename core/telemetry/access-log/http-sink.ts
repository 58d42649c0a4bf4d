import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { Agent, type Dispatcher } from 'undici';
import type { Cancel, Clock } from '#core/clock.ts';
import { messageOf } from '#core/errors.ts';
import type { LogCounts, LogSink, SinkLog } from './sink.ts';

export interface HttpSinkOptions {
  /** Where batches are posted. */
  readonly url: string;
  /** Value of `Authorization`. */
  readonly authorization: string | undefined;
  /** Bytes that may wait for the receiver, packed or not; beyond it nothing more is taken. */
  readonly bufferBytes: number;
  readonly clock: Clock;
  readonly counts: LogCounts;
  readonly log: SinkLog;
  readonly random?: () => number;
}

interface Batch {
  readonly id: string;
  readonly content: Buffer;
  readonly count: number;
  readonly bytes: number;
}

/** A batch is sent when it has so many bytes, or is so old. */
const BATCH_BYTES = 512 * 1024;
const BATCH_MS = 1_000;
const ANSWER_LIMIT_MS = 10_000;
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 30_000;
/** What a receiver may ask by `Retry-After`. */
const LONGEST_WISH_MS = 300_000;

/** Statuses after which the same batch may be welcome later. */
const PASSING: ReadonlySet<number> = new Set([408, 425, 429]);

const packed = promisify(gzip);

/**
 * Lines to a receiver by HTTP: batches of NDJSON, packed, one after the other. What fails is sent
 * again until it is taken, under the same `Idempotency-Key`: a batch may arrive twice, none is lost
 * while there is room for those behind it.
 */
export class HttpSink implements LogSink {
  readonly #options: HttpSinkOptions;
  readonly #agent = new Agent({ connections: 1, connect: { timeout: ANSWER_LIMIT_MS } });
  readonly #queue: Batch[] = [];
  #open: Buffer[] = [];
  #openBytes = 0;
  #openCount = 0;
  #cancelSeal: Cancel | undefined;
  /** Batches are packed one after the other, so that they stay in order. */
  #sealing: Promise<void> = Promise.resolve();
  #packingBytes = 0;
  #queuedBytes = 0;
  #sending: Promise<void> | undefined;
  #failing = false;
  readonly #stop = new AbortController();
  #wake: () => void = () => undefined;
  #room: () => void = () => undefined;

  constructor(options: HttpSinkOptions) {
    this.#options = options;
  }

  async write(lines: Uint8Array, count: number): Promise<void> {
    while (this.#heldBytes + lines.length > this.#options.bufferBytes && this.#heldBytes > 0) {
      this.#seal();
      if (this.#stop.signal.aborted) {
        this.#options.counts.failed += count;
        return;
      }
      await new Promise<void>((resolve) => (this.#room = resolve));
    }
    this.#open.push(Buffer.from(lines));
    this.#openBytes += lines.length;
    this.#openCount += count;
    if (this.#openBytes >= BATCH_BYTES) this.#seal();
    else this.#cancelSeal ??= this.#options.clock.after(BATCH_MS, () => this.#seal());
  }

  reopen(): Promise<void> {
    return Promise.resolve();
  }

  async close(graceMs: number): Promise<void> {
    const { clock, counts, log } = this.#options;
    this.#seal();
    const cancel = clock.after(graceMs, () => this.#giveUp());
    // Not to wait out a pause: there is not so much time.
    this.#wake();
    await this.#sealing;
    await this.#sending;
    cancel();
    const lost = this.#queue.reduce((sum, { count }) => sum + count, 0);
    counts.failed += lost;
    if (lost > 0) log.warn({ records: lost }, 'Records of the access log were not taken in time');
    await this.#agent.destroy();
  }

  get #heldBytes(): number {
    return this.#openBytes + this.#packingBytes + this.#queuedBytes;
  }

  #giveUp(): void {
    this.#stop.abort();
    this.#wake();
    this.#room();
  }

  #seal(): void {
    this.#cancelSeal?.();
    this.#cancelSeal = undefined;
    if (this.#openCount === 0) return;
    const [lines, count, bytes] = [this.#open, this.#openCount, this.#openBytes];
    this.#open = [];
    this.#openBytes = this.#openCount = 0;
    this.#packingBytes += bytes;
    this.#sealing = this.#sealing.then(async () => {
      try {
        const content = await packed(Buffer.concat(lines));
        this.#queuedBytes += content.length;
        this.#queue.push({ id: randomUUID(), content, count, bytes });
        this.#sending ??= this.#send();
      } catch (error) {
        // There was no memory for it.
        this.#options.counts.failed += count;
        this.#options.log.warn({ reason: messageOf(error) }, 'The access log fails');
      }
      this.#packingBytes -= bytes;
      this.#room();
    });
  }

  async #send(): Promise<void> {
    const { counts } = this.#options;
    for (let failures = 0; !this.#stop.signal.aborted;) {
      const [batch] = this.#queue;
      if (batch === undefined) break;
      const wait = await this.#post(batch, failures);
      if (wait === undefined) {
        failures = 0;
        this.#queue.shift();
        this.#queuedBytes -= batch.content.length;
        this.#room();
        continue;
      }
      failures++;
      await this.#pause(wait);
      if (!this.#stop.signal.aborted) counts.retries++;
    }
    this.#sending = undefined;
  }

  /** @returns how long to wait before it is sent again, ms; `undefined`: it is done with */
  async #post(batch: Batch, failures: number): Promise<number | undefined> {
    const { authorization, counts, log } = this.#options;
    const { origin, pathname, search } = new URL(this.#options.url);
    // Without the secrets that a URL may have.
    const url = origin + pathname;
    let reason: string;
    let wish: number | undefined;
    try {
      const answer = await this.#agent.request({
        origin,
        path: pathname + search,
        method: 'POST',
        headers: {
          'content-type': 'application/x-ndjson',
          'content-encoding': 'gzip',
          'idempotency-key': `"${batch.id}"`,
          ...(authorization !== undefined && { authorization }),
        },
        body: batch.content,
        headersTimeout: ANSWER_LIMIT_MS,
        bodyTimeout: ANSWER_LIMIT_MS,
        signal: this.#stop.signal,
      });
      await answer.body.dump();
      const { statusCode } = answer;
      if (statusCode >= 200 && statusCode < 300) {
        counts.records += batch.count;
        counts.bytes += batch.bytes;
        if (this.#failing) log.info({ url }, 'The access log is taken again');
        this.#failing = false;
        return undefined;
      }
      reason = `status ${statusCode}`;
      if (statusCode < 500 && !PASSING.has(statusCode)) {
        counts.failed += batch.count;
        log.warn({ url, reason, records: batch.count }, 'The access log is refused');
        return undefined;
      }
      wish = wishOf(answer);
    } catch (error) {
      reason = messageOf(error);
    }
    if (!this.#failing)
      log.warn({ url, reason }, 'The access log is not taken; it is kept for now');
    this.#failing = true;
    const { random = Math.random } = this.#options;
    const backoff = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** failures);
    return wish ?? backoff * (0.5 + random() / 2);
  }

  #pause(ms: number): Promise<void> {
    if (this.#stop.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(ms, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }
}

/** `Retry-After` in seconds, as ms. */
function wishOf({ headers }: Dispatcher.ResponseData): number | undefined {
  const seconds = Number(headers['retry-after'] ?? NaN);
  return Number.isFinite(seconds) && seconds >= 0
    ? Math.min(LONGEST_WISH_MS, seconds * 1000)
    : undefined;
}
