import type { Fields } from '#core/http/fields.ts';
import type { Fenced } from './fence.ts';
import type { StoredState } from './policy/decide.ts';
import type { Cut } from './policy/slicing.ts';
import type { Body } from './body.ts';

/** A stored response: one variant under a cache key. */
export interface StoredObject extends StoredState, Pick<Fenced, 'checked'> {
  readonly key: string;
  readonly site: string;
  /** The request's values of the key's inputs, see `keySelector`, then of the fields in `facts.vary`, see `variantSelector`. */
  readonly selector: string;
  /** End-to-end fields as the parent sent them. */
  readonly fields: Fields;
  readonly body: Body;
  /** The fence up to which its content is known to have heeded every purge. */
  readonly asOf: number;
  /** Its content is not in `body` but in slices, see `Manifest`. */
  readonly sliced?: Sliced | undefined;
}

export interface Sliced extends Cut {
  /** Found in the keys of its slices and nowhere else, so that they never outlive it in an answer. */
  readonly generation: string;
}

/** A large object without its content: fields and freshness of the whole 200 answer. */
export type Manifest = StoredObject & { readonly sliced: Sliced };

export const isManifest = (object: StoredObject): object is Manifest => object.sliced !== undefined;

/** Bytes of bookkeeping around an object: maps, list links, parsed facts. Measured, rounded up. */
const OVERHEAD_BYTES = 1024;

/** What an object costs of the byte budget. */
export function sizeInMemory(object: StoredObject): number {
  let bytes = OVERHEAD_BYTES + object.body.size + 2 * object.key.length + object.selector.length;
  for (const text of object.fields) bytes += text.length + 16;
  for (const tag of object.facts.tags ?? []) bytes += tag.length + 32;
  return bytes;
}
