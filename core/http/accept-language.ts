/**
 * `Accept-Language` in one spelling: ranges in lower case, the most wanted first, those wanted alike
 * in alphabetical order. Only case and order are normalised, so whoever has equal wishes, and
 * nobody else, shares a variant (RFC 9110 §12.5.4, RFC 9111 §4.1).
 */
export function normalizeAcceptLanguage(value: string): string {
  return value
    .toLowerCase()
    .split(',')
    .map((member) => {
      const [range = '', ...parameters] = member.split(';').map((part) => part.trim());
      const stated = parameters.find((parameter) => parameter.startsWith('q='));
      const quality = stated === undefined ? 1 : Number(stated.slice(2));
      return { range, quality: Number.isNaN(quality) ? 0 : quality };
    })
    .filter(({ range }) => range !== '')
    .toSorted((a, b) => b.quality - a.quality || (a.range < b.range ? -1 : 1))
    .map(({ range, quality }) => (quality === 1 ? range : `${range};q=${quality}`))
    .join(',');
}
