/** Ranges of one `Accept-Language` that are read; a browser sends a handful. */
const MAX_RANGES = 32;
/** No tag is nearly so long (RFC 5646 §4.4.1), so that none is costly to shorten. */
const MAX_RANGE_LENGTH = 100;

/**
 * The language that suits `acceptLanguage` best, by the lookup of RFC 4647 §3.4: each range in the
 * order of its weight, shortened from its end until it equals a tag. `*` and ranges of weight 0
 * choose nothing (RFC 9110 §12.5.4).
 * @param supported tags, the first of which serves whom none suits; in the site's own spelling
 */
export function bestLanguage(
  acceptLanguage: string | undefined,
  supported: readonly string[],
): string {
  const [fallback = ''] = supported;
  if (acceptLanguage === undefined) return fallback;
  const tags = new Map(supported.map((tag) => [tag.toLowerCase(), tag]));
  for (const wanted of rangesByWeight(acceptLanguage)) {
    for (let range = wanted; range !== ''; range = shortened(range)) {
      const tag = tags.get(range);
      if (tag !== undefined) return tag;
    }
  }
  return fallback;
}

function rangesByWeight(acceptLanguage: string): readonly string[] {
  return acceptLanguage
    .toLowerCase()
    .split(',', MAX_RANGES)
    .map((member) => {
      const [range = '', ...parameters] = member.split(';').map((part) => part.trim());
      const stated = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
      return { range, weight: stated === undefined ? 1 : Number(stated) };
    })
    .filter(({ range, weight }) => range !== '' && range !== '*' && weight > 0)
    .filter(({ range }) => range.length <= MAX_RANGE_LENGTH)
    .toSorted((a, b) => b.weight - a.weight)
    .map(({ range }) => range);
}

/** Without the last subtag, nor a single-letter one before it, which only introduces it. */
function shortened(range: string): string {
  const end = range.lastIndexOf('-');
  if (end === -1) return '';
  return range.slice(0, range[end - 2] === '-' ? end - 2 : end);
}
