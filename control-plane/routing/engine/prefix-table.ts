import { bitAt, type Prefix } from './prefix.ts';

interface TreeNode<T> {
  values: T[];
  readonly children: [TreeNode<T> | undefined, TreeNode<T> | undefined];
}

/** What a table says of an address. */
export interface PrefixMatch<T> {
  /** Of all networks that hold the address, the largest network first. */
  readonly values: readonly T[];
  /** The first so many bits of the address decide this: all that have them in common get the same. */
  readonly length: number;
}

/** Values by network: a binary tree per family. */
export class PrefixTable<T> {
  readonly #roots: Readonly<Record<4 | 6, TreeNode<T>>> = { 4: leaf(), 6: leaf() };

  constructor(entries: Iterable<readonly [Prefix, T]>) {
    for (const [prefix, value] of entries) this.#add(prefix, value);
  }

  /** @param prefix an address, or a network whose first address is looked up */
  match({ family, bytes }: Prefix): PrefixMatch<T> {
    const values: T[] = [];
    let at: TreeNode<T> = this.#roots[family];
    for (let length = 0; ; length++) {
      values.push(...at.values);
      const [zero, one] = at.children;
      if (zero === undefined && one === undefined) return { values, length };
      const next = bitAt(bytes, length) === 0 ? zero : one;
      if (next === undefined) return { values, length: length + 1 };
      at = next;
    }
  }

  #add({ family, bytes, length }: Prefix, value: T): void {
    let at = this.#roots[family];
    for (let i = 0; i < length; i++) {
      at = at.children[bitAt(bytes, i)] ??= leaf();
    }
    at.values.push(value);
  }
}

const leaf = <T>(): TreeNode<T> => ({ values: [], children: [undefined, undefined] });
