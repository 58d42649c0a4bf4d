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

  /** @param size bytes, where known */
  constructor(store: Store, draft: Draft, keeping: Keeping, size: number | undefined) {
    this.#store = store;
    this.#draft = draft;
    this.#keeping = keeping;
    if (size !== undefined && size > HELD_BYTES) this.#open(size);
  }

  get isOpen(): boolean {
    return this.#writer !== undefined;
  }

  /** Takes the latest piece of `body`. @returns where the disk falls behind, what to wait for before the next */
  async take(chunk: Buffer, body: FillingBody): Promise<void> {
    if (this.#writer !== undefined) return this.#writer.write(chunk);
    if (this.#isTried || body.size <= HELD_BYTES || !body.kept) return;
    const writer = this.#open(undefined);
    if (writer === undefined) return;
    for (const piece of [...body.chunks]) await writer.write(piece);
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
