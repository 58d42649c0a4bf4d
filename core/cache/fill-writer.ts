import type { FillingBody } from './filling-body.ts';
import type { StoredObject } from './object.ts';
import type { Draft, Keeping, Store, Writer } from './store.ts';
import { HELD_BYTES } from './tiered.ts';

/** Writes the content of a fill out as it comes, once it is large, where that takes it out of memory. */
export class FillWriter {
  readonly #store: Store;
  readonly #draft: Draft;
  readonly #keeping: Keeping;
  #writer: Writer | undefined;
  #isTried = false;

  /**
   * @param size bytes, where known
   * @param isKept whether memory keeps the content until it is whole
   */
  constructor(
    store: Store,
    draft: Draft,
    keeping: Keeping,
    size: number | undefined,
    isKept: boolean,
  ) {
    this.#store = store;
    this.#draft = draft;
    this.#keeping = keeping;
    if (!isKept || (size !== undefined && size > HELD_BYTES)) this.#open(size);
  }

  get isOpen(): boolean {
    return this.#writer !== undefined;
  }

  /** Takes the latest piece of `body`. Resolves when the next may come. */
  async take(chunk: Buffer, body: FillingBody): Promise<void> {
    if (this.#writer !== undefined) await this.#writer.write(chunk);
    else if (body.size > HELD_BYTES) await this.takeAll(body);
  }

  /** Takes all that has come, which memory will not keep or is large. */
  async takeAll(body: FillingBody): Promise<void> {
    if (this.#isTried || !body.kept) return;
    const writer = this.#open(undefined);
    if (writer === undefined) return;
    for (const piece of body.chunks) await writer.write(piece);
  }

  commit(object: Omit<StoredObject, 'body'>): boolean | Promise<boolean> {
    return this.#writer?.commit(object) ?? false;
  }

  abandon(): void {
    this.#writer?.abandon();
    this.#writer = undefined;
    this.#isTried = true;
  }

  #open(size: number | undefined): Writer | undefined {
    this.#isTried = true;
    if (this.#keeping.memoryOnly === true) return undefined;
    const writer = this.#store.reserve(this.#draft, size, this.#keeping);
    if (writer?.holdsAll === true) writer.abandon();
    else this.#writer = writer;
    return this.#writer;
  }
}
