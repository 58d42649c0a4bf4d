import type { Lookup } from '#core/cache/engine.ts';
import type { Sliced } from '#core/cache/object.ts';
import type { ErrorCode } from '#core/errors.ts';
import type { Fields } from '#core/http/fields.ts';
import type { Parent } from '#core/tree/parents.ts';
import type { Try } from '#core/tree/tries.ts';

/** A fill that one thread asks the object's home for: its lookup, without what cannot be sent. */
export interface Asked extends Omit<
  Lookup,
  'site' | 'upstreamFields' | 'client' | 'pace' | 'shaping'
> {
  /** The home knows it under its own configuration. */
  readonly site: string;
  readonly upstreamFields: Fields;
}

/** What two threads of a node say to one another, each about its own `id` of one exchange. */
export type SiblingMessage =
  /** From the asking thread. */
  | { readonly type: 'ask'; readonly id: number; readonly asked: Asked }
  /** So many bytes of content more may be sent. */
  | { readonly type: 'credit'; readonly id: number; readonly bytes: number }
  /** The rest is not wanted. */
  | { readonly type: 'discard'; readonly id: number }
  /** From the home: a 1xx answer on the way. */
  | {
      readonly type: 'interim';
      readonly id: number;
      readonly status: number;
      readonly fields: Fields;
    }
  /** The header section. */
  | {
      readonly type: 'answer';
      readonly id: number;
      readonly status: number;
      readonly fields: Fields;
      /** The fence up to which the content has heeded every purge. */
      readonly asOf: number;
      /** The slices that it comes from, of which the asking thread finds some on disk. */
      readonly sliced: Sliced | undefined;
      /** The parents that it asked. */
      readonly tries: readonly Try[] | undefined;
    }
  | { readonly type: 'content'; readonly id: number; readonly chunk: Uint8Array }
  | { readonly type: 'end'; readonly id: number }
  /** The home has tried what there is to try. */
  | {
      readonly type: 'failed';
      readonly id: number;
      readonly code: ErrorCode;
      readonly detail: string;
      readonly tries: readonly Try[] | undefined;
    }
  /** The home cannot take the request at all, so that the asking thread helps itself. */
  | { readonly type: 'refused'; readonly id: number };

/** Who has answered, where another thread has. */
export const SIBLING: Parent = { name: 'sibling', url: '', tier: 'mid-tier' };

/** Bytes of content that may be on their way to a thread that has not read them. */
export const SIBLING_WINDOW_BYTES = 1024 * 1024;
