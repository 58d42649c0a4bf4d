import { Readable, type Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { FillingBody } from '#core/cache/filling-body.ts';
import type { SpillRoom } from '#core/cache/spill-room.ts';
import { CanopyError } from '#core/errors.ts';
import type { Coding } from '#core/http/content-coding.ts';
import { CODECS, type Encoder } from './codecs.ts';

type Content = readonly Buffer[] | AsyncIterable<Buffer>;

/** What is to be made of content. */
export interface Made {
  readonly decode: Coding | undefined;
  readonly encode: { readonly coding: Coding; readonly level: number } | undefined;
  /** Content that unpacks to more breaks off. */
  readonly maxDecodedBytes: number;
  /** All is kept for readers that come later, and for `finished`. */
  readonly keepsAll: boolean;
  /** What comes slowly is passed on as it comes. */
  readonly flushes: boolean;
  readonly spillRoom: SpillRoom | undefined;
}

/** Content that is being made of other content, read by any number of clients. */
export class Making {
  readonly body: FillingBody;
  /** Resolves when all is made; `undefined`: it broke off, or nobody wanted the rest. */
  readonly finished: Promise<FillingBody | undefined>;
  /** It would have unpacked to more than it may. */
  isBomb = false;

  /** @param source read to its end, or returned */
  constructor(source: Content, how: Made) {
    const abandoned = new AbortController();
    this.body = new FillingBody(
      how.keepsAll,
      () => abandoned.abort(),
      how.keepsAll ? undefined : how.spillRoom,
    );
    this.finished = this.#run(source, how, abandoned.signal);
  }

  async #run(source: Content, how: Made, signal: AbortSignal): Promise<FillingBody | undefined> {
    const { body } = this;
    try {
      const decoder = how.decode === undefined ? [] : [CODECS[how.decode].decoder()];
      const stages: (Transform | Stage)[] = [...decoder];
      if (how.decode !== undefined) stages.push((content) => this.#bounded(content, how));
      if (how.encode !== undefined) {
        const codec = CODECS[how.encode.coding];
        const encoder = codec.encoder(how.encode.level);
        if (how.flushes)
          stages.push((content) => flushedWhenIdle(content, encoder, codec.flushKind));
        stages.push(encoder);
      }
      const sink = async (content: AsyncIterable<Buffer>): Promise<void> => {
        for await (const chunk of content) {
          body.append(chunk);
          await body.room();
        }
      };
      await pipeline(
        [Readable.from(source, { objectMode: true, highWaterMark: 1 }), ...stages, sink],
        {
          signal,
        },
      );
      body.complete();
      return body;
    } catch (error) {
      body.fail(error instanceof Error ? error : new Error(String(error)));
      return undefined;
    }
  }

  async *#bounded(
    content: AsyncIterable<Buffer>,
    { maxDecodedBytes }: Made,
  ): AsyncGenerator<Buffer, void, undefined> {
    let bytes = 0;
    for await (const chunk of content) {
      bytes += chunk.length;
      if (bytes > maxDecodedBytes) {
        this.isBomb = true;
        throw new CanopyError(
          'upstream-invalid',
          `Content unpacks to over ${maxDecodedBytes} bytes`,
        );
      }
      yield chunk;
    }
  }
}

type Stage = (content: AsyncIterable<Buffer>) => AsyncIterable<Buffer>;

/** Has the encoder let go of what it holds whenever the next piece is not there within a turn of the event loop. */
async function* flushedWhenIdle(
  content: AsyncIterable<Buffer>,
  encoder: Encoder,
  flushKind: number,
): AsyncGenerator<Buffer, void, undefined> {
  const pieces = content[Symbol.asyncIterator]();
  let held = false;
  try {
    for (;;) {
      const next = pieces.next();
      if (
        held &&
        (await Promise.race([next.then(isThere, isThere), nextTurn('late')])) === 'late'
      ) {
        encoder.flush(flushKind);
        held = false;
      }
      const { done, value } = await next;
      if (done === true) return;
      yield value;
      held = true;
    }
  } finally {
    await pieces.return?.();
  }
}

const isThere = (): 'there' => 'there';
