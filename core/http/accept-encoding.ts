/** Content codings worth telling apart, in the order in which they are sent upstream. */
const CODINGS = ['zstd', 'br', 'gzip'] as const;

/**
 * `Accept-Encoding` reduced to the codings that matter, in one fixed spelling, so that clients
 * which can take the same share one variant (RFC 9110 §12.5.3, RFC 9111 §4.1).
 * `undefined` where only identity is acceptable.
 */
export function normalizeAcceptEncoding(value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  const acceptable = new Map<string, boolean>();
  for (const member of value.toLowerCase().split(',')) {
    const [coding = '', ...parameters] = member.split(';').map((part) => part.trim());
    const quality = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
    acceptable.set(coding === 'x-gzip' ? 'gzip' : coding, Number(quality ?? 1) > 0);
  }
  const any = acceptable.get('*') ?? false;
  const taken = CODINGS.filter((coding) => acceptable.get(coding) ?? any);
  return taken.length === 0 ? undefined : taken.join(', ');
}
