import { z } from 'zod';

const DEFAULT_LIMIT = 100;
const MOST = 1_000;

/** Which part of a list is wanted. */
export const pageQuery = {
  limit: z.coerce.number().int().min(1).max(MOST).default(DEFAULT_LIMIT),
  /** What the page before gave as `next`. */
  after: z.string().min(1).max(256).optional(),
};

export const pageQuerySchema = z.strictObject(pageQuery);

export type PageQuery = z.output<typeof pageQuerySchema>;

/** A part of a list; `next` is where the next part begins, `null` if this was the last. */
export const pageOf = <T extends z.ZodType>(item: T) =>
  z.strictObject({ items: z.array(item), next: z.string().nullable() });

export interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | null;
}

/**
 * A page of what was read beyond its limit.
 * @param found in the order of the list, one more than `limit` if there are so many
 * @param placeOf by which `after` finds an item
 */
export function pageFrom<T>(
  found: readonly T[],
  limit: number,
  placeOf: (item: T) => string,
): Page<T> {
  const items = found.slice(0, limit);
  const last = items.at(-1);
  return { items, next: found.length > limit && last !== undefined ? placeOf(last) : null };
}

/** A page of a list that is ordered by name, and held whole. */
export function pageByName<T extends { readonly name: string }>(
  all: readonly T[],
  query: PageQuery,
): Page<T> {
  const { after = '', limit } = query;
  const rest = all.filter(({ name }) => name > after).slice(0, limit + 1);
  return pageFrom(rest, limit, ({ name }) => name);
}
