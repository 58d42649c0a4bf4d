/** Bytes `start` to `end`, both included, counted from 0. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** More ranges than this in one request are taken for an attack, RFC 9110 §17.15. */
const MAX_RANGES = 16;

const BYTES_UNIT = /^bytes=/i;
const INT_RANGE = /^(\d+)-(\d*)$/;
const SUFFIX_RANGE = /^-(\d+)$/;

/**
 * The ranges that a `Range` field selects of a representation of `size` bytes, in the order asked;
 * those that overlap or touch are one, in the place of the first (RFC 9110 §15.3.7.2).
 *
 * - `ignore`: answer as if there were no `Range` (RFC 9110 §14.2). For malformed ranges and other
 *   units, and for sets of more than 16 ranges or more bytes in all than the representation has.
 * - `unsatisfiable`: answer 416 (RFC 9110 §15.5.17).
 */
export function parseRange(
  field: string,
  size: number,
): readonly ByteRange[] | 'ignore' | 'unsatisfiable' {
  if (!BYTES_UNIT.test(field)) return 'ignore';
  const specs = field
    .slice('bytes='.length)
    .split(',')
    .map((spec) => spec.trim())
    .filter((spec) => spec !== '');
  if (specs.length === 0 || specs.length > MAX_RANGES) return 'ignore';
  const ranges: ByteRange[] = [];
  for (const spec of specs) {
    const range = resolveSpec(spec, size);
    if (range === 'ignore') return 'ignore';
    if (range !== 'unsatisfiable') ranges.push(range);
  }
  if (ranges.length === 0) return 'unsatisfiable';
  const total = ranges.reduce((sum, range) => sum + range.end - range.start + 1, 0);
  return total > size ? 'ignore' : coalesced(ranges);
}

function coalesced(ranges: readonly ByteRange[]): readonly ByteRange[] {
  const apart: ByteRange[] = [];
  for (const range of ranges) {
    const near = apart.filter(({ start, end }) => start <= range.end + 1 && range.start <= end + 1);
    const first = near[0];
    if (first === undefined) {
      apart.push(range);
      continue;
    }
    const joined = [range, ...near];
    apart[apart.indexOf(first)] = {
      start: Math.min(...joined.map(({ start }) => start)),
      end: Math.max(...joined.map(({ end }) => end)),
    };
    for (const other of near.slice(1)) apart.splice(apart.indexOf(other), 1);
  }
  return apart;
}

/** RFC 9110 §14.1.2. */
function resolveSpec(spec: string, size: number): ByteRange | 'ignore' | 'unsatisfiable' {
  const suffix = SUFFIX_RANGE.exec(spec)?.[1];
  if (suffix !== undefined) {
    const length = Number(suffix);
    if (length === 0) return 'unsatisfiable';
    // Satisfiable, but no Content-Range can describe a range of nothing.
    if (size === 0) return 'ignore';
    return { start: Math.max(0, size - length), end: size - 1 };
  }
  const [, first, last] = INT_RANGE.exec(spec) ?? [];
  if (first === undefined) return 'ignore';
  const start = Number(first);
  const end = last === undefined || last === '' ? Infinity : Number(last);
  if (end < start) return 'ignore';
  if (start >= size) return 'unsatisfiable';
  return { start, end: Math.min(end, size - 1) };
}
