import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { mapSecrets, secretsOf } from './secrets.ts';
import type { SiteDelta } from './version.ts';

const SECRET = '(secret)';
const ANOTHER = '(another secret)';

/** One setting that differs; without `before` it is new, without `after` it is gone. */
export const differenceSchema = z.strictObject({
  /** `sites.NAME`, then the fields with dots between; items of a list have the list's path. */
  path: z.string(),
  before: z.unknown().optional(),
  after: z.unknown().optional(),
});

export type Difference = z.output<typeof differenceSchema>;

/** What people may read of a change: which settings differ, and how; secrets only that they do. */
export const differencesOf = (deltas: readonly SiteDelta[]): Difference[] =>
  deltas.flatMap(({ name, before, after }) => {
    const path = `sites.${name}`;
    const known = before === null ? undefined : secretsOf(before);
    const shownBefore = before && mapSecrets(before, () => SECRET);
    const shownAfter =
      after &&
      mapSecrets(after, (secret, at) =>
        known === undefined || known.get(at) === secret ? SECRET : ANOTHER,
      );
    if (shownBefore === null) return [{ path, after: shownAfter }];
    if (shownAfter === null) return [{ path, before: shownBefore }];
    return differences(shownBefore, shownAfter, path);
  });

/** Objects are compared field by field, lists of objects item by item, other lists as sets. */
export function differences(before: unknown, after: unknown, path: string): Difference[] {
  if (isDeepStrictEqual(before, after)) return [];
  if (isRecord(before) && isRecord(after)) {
    const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
    return [...keys].flatMap((key) => differences(before[key], after[key], `${path}.${key}`));
  }
  if (Array.isArray(before) && Array.isArray(after)) return listDifferences(before, after, path);
  return [
    {
      path,
      ...(before !== undefined && { before }),
      ...(after !== undefined && { after }),
    },
  ];
}

function listDifferences(before: unknown[], after: unknown[], path: string): Difference[] {
  if ([...before, ...after].some(isRecord)) {
    const length = Math.max(before.length, after.length);
    return Array.from({ length }, (_, i) => i).flatMap((i) =>
      differences(before[i], after[i], `${path}.${i}`),
    );
  }
  const had = new Set(before);
  const has = new Set(after);
  const gone = before.filter((item) => !has.has(item)).map((item) => ({ path, before: item }));
  const added = after.filter((item) => !had.has(item)).map((item) => ({ path, after: item }));
  // What differs in order, or in how often, only shows as a whole.
  return gone.length + added.length > 0 ? [...gone, ...added] : [{ path, before, after }];
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
