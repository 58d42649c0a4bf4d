import { wildcardMatcher } from './wildcard.ts';

/**
 * A function that tells whether a path matches `glob`: `*` stands for any characters of one
 * segment, `**` as a whole segment for any number of segments, none included. Letter case counts.
 * Takes time in proportion to the lengths of both, whatever they hold.
 */
export function pathMatcher(glob: string): (path: string) => boolean {
  const groups: SegmentTest[][] = [[]];
  for (const segment of glob.split('/')) {
    if (segment === '**') groups.push([]);
    else groups.at(-1)?.push(wildcardMatcher(segment));
  }
  const [first = [], ...others] = groups;
  const last = others.pop();
  return (path) => {
    const segments = path.split('/');
    if (last === undefined) return segments.length === first.length && startsAt(segments, 0, first);
    const end = segments.length - last.length;
    if (first.length > end || !startsAt(segments, 0, first)) return false;
    if (!startsAt(segments, end, last)) return false;
    let from = first.length;
    // Between the anchored ends, the leftmost place of each group leaves most room for the next.
    for (const group of others) {
      while (from + group.length <= end && !startsAt(segments, from, group)) from++;
      if (from + group.length > end) return false;
      from += group.length;
    }
    return true;
  };
}

type SegmentTest = (segment: string) => boolean;

const startsAt = (
  segments: readonly string[],
  from: number,
  group: readonly SegmentTest[],
): boolean => group.every((fits, i) => fits(segments[from + i] ?? ''));
