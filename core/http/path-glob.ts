/**
 * A function that tells whether a path matches `glob`: `*` stands for any characters of one
 * segment, `**` as a whole segment for any number of segments, none included. Letter case counts.
 * Takes time in proportion to the lengths of both, whatever they hold.
 */
export function pathMatcher(glob: string): (path: string) => boolean {
  const groups: string[][] = [[]];
  for (const segment of glob.split('/')) {
    if (segment === '**') groups.push([]);
    else groups.at(-1)?.push(segment);
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

const startsAt = (segments: readonly string[], from: number, group: readonly string[]): boolean =>
  group.every((pattern, i) => segmentMatches(pattern, segments[from + i] ?? ''));

function segmentMatches(pattern: string, segment: string): boolean {
  const [head = '', ...pieces] = pattern.split('*');
  const tail = pieces.pop();
  if (tail === undefined) return segment === head;
  if (!segment.startsWith(head)) return false;
  let from = head.length;
  for (const piece of pieces) {
    const at = segment.indexOf(piece, from);
    if (at === -1) return false;
    from = at + piece.length;
  }
  return segment.length - tail.length >= from && segment.endsWith(tail);
}
