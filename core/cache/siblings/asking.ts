import type { Sliced } from '#core/cache/object.ts';
import { CanopyError } from '#core/errors.ts';
import type { Fields } from '#core/http/fields.ts';
import type { Try } from '#core/tree/tries.ts';
import { Exhausted } from '#core/tree/walk.ts';
import { SIBLING_WINDOW_BYTES, type SiblingMessage } from './messages.ts';

/** Why a sibling gave no answer: the asking thread then asks the tree itself. */
export class SiblingLost extends Error {
  override readonly name = 'SiblingLost';
  override readonly message = 'The sibling thread has gone, or cannot answer';
}

export interface SiblingAnswer {
  readonly status: number;
  readonly fields: Fields;
  readonly asOf: number;
  readonly sliced: Sliced | undefined;
  readonly tries: readonly Try[] | undefined;
  readonly body: AsyncIterable<Buffer>;
}

/** Told of 1xx answers. */
export type OnInterim = (status: number, fields: Fields) => void;
type Send = (message: SiblingMessage) => void;

/** One question to a sibling, from the side that asks. */
export class Asking {
  readonly #id: number;
  readonly #send: Send;
  readonly #onInterim: OnInterim;
  readonly #onEnd: () => void;
  readonly #answer = Promise.withResolvers<SiblingAnswer>();
  readonly #chunks: Buffer[] = [];
  #outcome: 'open' | 'complete' | Error = 'open';
  #wake: (() => void) | undefined;
  /** Bytes read that the sibling has not been told of. */
  #unsaidBytes = 0;

  /** @param onEnd called once, when nothing more can come */
  constructor(id: number, send: Send, onInterim: OnInterim, onEnd: () => void) {
    this.#onInterim = onInterim;
    this.#id = id;
    this.#send = send;
    this.#onEnd = onEnd;
    this.#answer.promise.catch(() => undefined);
  }

  /** The header section. @throws CanopyError that the home met; SiblingLost */
  get answer(): Promise<SiblingAnswer> {
    return this.#answer.promise;
  }

  receive(message: SiblingMessage): void {
    switch (message.type) {
      case 'interim':
        this.#onInterim(message.status, message.fields);
        break;
      case 'answer': {
        const { status, fields, asOf, sliced, tries } = message;
        this.#answer.resolve({ status, fields, asOf, sliced, tries, body: this.#body() });
        break;
      }
      case 'content':
        this.#chunks.push(Buffer.from(message.chunk.buffer));
        this.#wake?.();
        break;
      case 'end':
        this.#end('complete');
        break;
      case 'failed':
        this.#end(failure(message));
        break;
      case 'refused':
        this.#end(new SiblingLost());
        break;
      default:
        break;
    }
  }

  /** The sibling has gone. */
  lost(): void {
    this.#end(new SiblingLost());
  }

  /** The sibling takes too long. */
  giveUp(): void {
    this.#abandon(new SiblingLost());
  }

  discard(): void {
    this.#abandon(new Error('Discarded'));
  }

  #abandon(why: Error): void {
    if (this.#outcome !== 'open') return;
    this.#send({ type: 'discard', id: this.#id });
    this.#chunks.length = 0;
    this.#end(why);
  }

  #end(outcome: 'complete' | Error): void {
    if (this.#outcome !== 'open') return;
    this.#outcome = outcome;
    if (outcome !== 'complete') this.#answer.reject(outcome);
    this.#wake?.();
    this.#onEnd();
  }

  async *#body(): AsyncGenerator<Buffer, void, undefined> {
    try {
      for (;;) {
        const chunk = this.#chunks.shift();
        if (chunk !== undefined) {
          yield chunk;
          this.#credit(chunk.length);
        } else if (this.#outcome === 'complete') return;
        else if (this.#outcome !== 'open') throw this.#outcome;
        else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
      }
    } finally {
      this.discard();
    }
  }

  #credit(bytes: number): void {
    this.#unsaidBytes += bytes;
    if (this.#unsaidBytes < SIBLING_WINDOW_BYTES / 4 || this.#outcome !== 'open') return;
    this.#send({ type: 'credit', id: this.#id, bytes: this.#unsaidBytes });
    this.#unsaidBytes = 0;
  }
}

const failure = ({
  code,
  detail,
  tries,
}: SiblingMessage & { readonly type: 'failed' }): CanopyError =>
  tries === undefined
    ? new CanopyError(code, detail)
    : new Exhausted(code, detail, tries, undefined);
