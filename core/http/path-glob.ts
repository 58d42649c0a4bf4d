import { wildcardMatcher, wildcardParts } from './wildcard.ts';

/**
 * A function that tells whether a path matches `glob`: `*` stands for any characters of one
 * segment, `**` as a whole segment for any number of segments, none included. Letter case counts.
 * Takes time in proportion to the lengths of both, whatever they hold.
 */
export function pathMatcher(glob: string): (path: string) => boolean {
  const places = placer(glob, wildcardMatcher);
  return (path) => places(path.split('/')) !== undefined;
}

/** What each `*` and `**` of `glob` stands for in a path that matches it, in their order. */
export function pathCaptures(glob: string): (path: string) => readonly string[] | undefined {
  const groups = groupsOf(glob).map((group) => group.map(wildcardParts));
  const places = placer(glob, wildcardMatcher);
  return (path) => {
    const segments = path.split('/');
    const starts = places(segments);
    if (starts === undefined) return undefined;
    const captures: string[] = [];
    let end = 0;
    for (const [i, group] of groups.entries()) {
      const start = starts[i] ?? 0;
      if (i > 0) captures.push(segments.slice(end, start).join('/'));
      for (const [j, partsOf] of group.entries()) {
        captures.push(...(partsOf(segments[start + j] ?? '') ?? []));
      }
      end = start + group.length;
    }
    return captures;
  };
}

/** How many `*` and `**` a glob has. */
export const wildcardsIn = (glob: string): number => glob.split(/\*+/).length - 1;

/** The segments between one `**` and the next. */
function groupsOf(glob: string): string[][] {
  const groups: string[][] = [[]];
  for (const segment of glob.split('/')) {
    if (segment === '**') groups.push([]);
    else groups.at(-1)?.push(segment);
  }
  return groups;
}

type SegmentTest = (segment: string) => boolean;

/** Where the groups of a glob stand in the segments of a path; `undefined`: it does not match. */
function placer(
  glob: string,
  testOf: (segment: string) => SegmentTest,
): (segments: readonly string[]) => readonly number[] | undefined {
  const [first = [], ...others] = groupsOf(glob).map((group) => group.map(testOf));
  const last = others.pop();
  return (segments) => {
    if (last === undefined) {
      return segments.length === first.length && startsAt(segments, 0, first) ? FIRST : undefined;
    }
    const end = segments.length - last.length;
    if (first.length > end || !startsAt(segments, 0, first)) return undefined;
    if (!startsAt(segments, end, last)) return undefined;
    const starts = [0];
    let from = first.length;
    // Between the anchored ends, the leftmost place of each group leaves most room for the next.
    for (const group of others) {
      while (from + group.length <= end && !startsAt(segments, from, group)) from++;
      if (from + group.length > end) return undefined;
      starts.push(from);
      from += group.length;
    }
    return [...starts, end];
  };
}

const FIRST: readonly number[] = [0];

const startsAt = (
  segments: readonly string[],
  from: number,
  group: readonly SegmentTest[],
): boolean => group.every((fits, i) => fits(segments[from + i] ?? ''));
