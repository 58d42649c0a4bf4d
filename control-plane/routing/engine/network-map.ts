import { bitAt, type Prefix } from './prefix.ts';

interface Branch<T> {
  value: T | undefined;
  zero: Branch<T> | undefined;
  one: Branch<T> | undefined;
}

/** Values by networks none of which holds another: a binary tree per family, which grows. */
export class NetworkMap<T> {
  readonly #max: number;
  #roots: Readonly<Record<4 | 6, Branch<T>>> = { 4: branch(), 6: branch() };
  #size = 0;

  /** @param max networks; with one more all are forgotten */
  constructor(max: number) {
    this.#max = max;
  }

  /** The value of the network that holds the address. */
  find({ family, bytes }: Prefix): T | undefined {
    let at: Branch<T> | undefined = this.#roots[family];
    const bits = bytes.length * 8;
    for (let i = 0; at !== undefined; i++) {
      if (at.value !== undefined || i === bits) return at.value;
      at = bitAt(bytes, i) === 0 ? at.zero : at.one;
    }
    return undefined;
  }

  set({ family, bytes, length }: Prefix, value: T): void {
    if (this.#size++ >= this.#max) this.clear();
    let at = this.#roots[family];
    for (let i = 0; i < length; i++) {
      at = bitAt(bytes, i) === 0 ? (at.zero ??= branch()) : (at.one ??= branch());
    }
    at.value = value;
  }

  clear(): void {
    this.#roots = { 4: branch(), 6: branch() };
    this.#size = 0;
  }
}

const branch = <T>(): Branch<T> => ({ value: undefined, zero: undefined, one: undefined });
