import type { Fields } from '#core/http/fields.ts';
import type { ClientRequest } from '#core/http/request.ts';
import type { StoredState } from './policy/decide.ts';
import { liesWithin } from './policy/partial.ts';
import type { ContentRange, Cut } from './policy/slicing.ts';
import { variantSelector } from './policy/vary.ts';
import { Body } from './body.ts';
import type { FileBody } from './disk/file-body.ts';
import type { Fenced } from './fence.ts';

/** A complete body: held in memory, or read from disk when it is asked for. */
export type StoredBody = Body | FileBody;

/** A stored response: one variant under a cache key. */
export interface StoredObject<B extends StoredBody = StoredBody>
  extends StoredState, Pick<Fenced, 'checked'> {
  readonly key: string;
  readonly site: string;
  /** The request's values of the key's inputs, see `keySelector`, then of the fields in `facts.vary`, see `variantSelector`. */
  readonly selector: string;
  /** End-to-end fields as the parent sent them. */
  readonly fields: Fields;
  readonly body: B;
  /** The fence up to which its content is known to have heeded every purge. */
  readonly asOf: number;
  /** Its content is not in `body` but in slices, see `Manifest`. */
  readonly sliced?: Sliced | undefined;
  /** Tells its content from all other that was ever stored; it stays when the object is validated. */
  readonly contentId?: string | undefined;
  /** It is made of another object under the same key, through which alone it is found. */
  readonly made?: Made | undefined;
  /** Its content is there in part only: `body` is these bytes of it, the fields are of the whole. */
  readonly part?: ContentRange | undefined;
}

/** One that is held in memory whole. */
export type HeldObject = StoredObject<Body>;

/**
 * What ties a representation that was made here to what it was made of. It is under its source's key, so
 * that what purges that finds it too, and used only for a source that may be served and has this content:
 * so it is neither fresher than that nor outlives it.
 */
export interface Made {
  /** `contentId` of the source. */
  readonly from: string;
  /** What was made of it: a coding, or how an image was transformed. */
  readonly form: string;
  /** CRC-32 of the content, 8 hexadecimal digits. */
  readonly checksum: string;
}

export interface Sliced extends Cut {
  /** Found in the keys of its slices and nowhere else, so that they never outlive it in an answer. */
  readonly generation: string;
}

/** A large object without its content: fields and freshness of the whole 200 answer. */
export type Manifest = HeldObject & { readonly sliced: Sliced };

export const isManifest = (object: StoredObject): object is Manifest => object.sliced !== undefined;

/** An object of which not all has come, RFC 9111 §3.3. */
export type PartialObject<B extends StoredBody = StoredBody> = StoredObject<B> & {
  readonly part: ContentRange;
};

export const isPartial = (object: StoredObject): object is PartialObject =>
  object.part !== undefined;

export const isHeld = (object: StoredObject): object is HeldObject => object.body instanceof Body;

/** All of a body, from memory or as it is read. */
export const contentOf = (body: StoredBody): readonly Buffer[] | AsyncIterable<Buffer> =>
  body instanceof Body ? body.chunks : body.read();

/** @param start where the bytes that it holds begin @param size of the whole */
export const partOf = <B extends StoredBody>(
  object: StoredObject<B>,
  start: number,
  size: number,
): PartialObject<B> => ({ ...object, part: { start, end: start + object.body.size - 1, size } });

/** Whether there is enough of an object to answer a request. */
export const suffices = (object: StoredObject, { method, fields }: ClientRequest): boolean =>
  !isPartial(object) || liesWithin(object, method, fields);

/** Bytes of the whole content, wherever it is. */
export const sizeOf = ({ body, part, sliced }: StoredObject): number =>
  part?.size ?? sliced?.size ?? body.size;

/** Whether RFC 9111 §4.1 lets `object` answer a request, as far as keys and variants go. */
export const suitsRequest = (
  { selector, facts }: StoredObject,
  keySelector: string,
  requestFields: Fields,
): boolean => selector === keySelector + variantSelector(facts.vary, requestFields);

/** Bytes of bookkeeping around an object: maps, the policy, parsed facts, buffers. Measured, rounded up. */
const OVERHEAD_BYTES = 1536;

/** What an object costs of the byte budget of memory, or would. */
export function sizeInMemory(object: StoredObject): number {
  let bytes = OVERHEAD_BYTES + object.body.size + 2 * object.key.length + object.selector.length;
  for (const text of object.fields) bytes += text.length + 16;
  for (const tag of object.facts.tags ?? []) bytes += tag.length + 32;
  return bytes;
}
