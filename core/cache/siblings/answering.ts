import type { Answer } from '#core/cache/answer.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import type { Fields } from '#core/http/fields.ts';
import { triesOf } from '#core/tree/walk.ts';
import { SIBLING_WINDOW_BYTES, type Asked, type SiblingMessage } from './messages.ts';

/** Answers one fill; `undefined`: this thread cannot take it. */
export type AnswerSibling = (
  asked: Asked,
  signal: AbortSignal,
  inform: (status: number, fields: Fields) => void,
) => Promise<Answer | undefined>;

/** One question of a sibling, from the side that answers. */
export class Answering {
  readonly #id: number;
  readonly #send: (message: SiblingMessage, transfer?: ArrayBuffer) => void;
  readonly #abort = new AbortController();
  #content: AsyncIterator<Buffer> | undefined;
  #creditBytes = SIBLING_WINDOW_BYTES;
  #wake: (() => void) | undefined;

  constructor(id: number, send: (message: SiblingMessage, transfer?: ArrayBuffer) => void) {
    this.#id = id;
    this.#send = send;
  }

  credit(bytes: number): void {
    this.#creditBytes += bytes;
    this.#wake?.();
  }

  /** Nobody over there wants the rest. */
  discard(): void {
    this.#abort.abort(new Error('The sibling thread has discarded the answer'));
    void this.#content?.return?.();
    this.#wake?.();
  }

  async run(asked: Asked, answerSibling: AnswerSibling): Promise<void> {
    const id = this.#id;
    const { signal } = this.#abort;
    try {
      const answer = await answerSibling(asked, signal, (status, fields) =>
        this.#send({ type: 'interim', id, status, fields }),
      );
      if (answer === undefined) {
        this.#send({ type: 'refused', id });
        return;
      }
      const { status, fields, asOf, sliced, content, outcome } = answer;
      this.#send({ type: 'answer', id, status, fields, asOf, sliced, tries: outcome.tries });
      await this.#sendContent(content);
      if (!signal.aborted) this.#send({ type: 'end', id });
    } catch (error) {
      if (signal.aborted) return;
      const code = error instanceof CanopyError ? error.code : 'internal-error';
      this.#send({ type: 'failed', id, code, detail: messageOf(error), tries: triesOf(error) });
    }
  }

  async #sendContent(content: Answer['content']): Promise<void> {
    const { signal } = this.#abort;
    const iterator =
      Symbol.asyncIterator in content ? content[Symbol.asyncIterator]() : held(content);
    this.#content = iterator;
    if (signal.aborted) await iterator.return?.();
    while (!signal.aborted) {
      const { done, value } = await iterator.next();
      if (done) return;
      // Copied once into memory of its own, which then moves: the view may be of something larger.
      const chunk = new Uint8Array(value);
      this.#creditBytes -= chunk.length;
      this.#send({ type: 'content', id: this.#id, chunk }, chunk.buffer);
      while (this.#creditBytes <= 0 && !signal.aborted) await this.#credited();
    }
  }

  #credited(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

async function* held(chunks: readonly Buffer[]): AsyncGenerator<Buffer, void, undefined> {
  yield* chunks;
}
