/** What stands for a value that is not to be in the log. */
const MASKED = '***';

/** Takes a URL or request target, gives it without the values of some query parameters. */
export type Mask = (url: string) => string;

/**
 * @param parameters names of query parameters; case does not count, however a client spells them
 * @returns `undefined`: there is nothing to mask
 */
export function maskOf(parameters: readonly string[]): Mask | undefined {
  if (parameters.length === 0) return undefined;
  const masked = new Set(parameters.map((name) => name.toLowerCase()));
  return (url) => {
    const queryAt = url.indexOf('?');
    if (queryAt === -1) return url;
    const parts = url.slice(queryAt + 1).split(/([&;#?])/);
    const kept = parts.map((part) => {
      const equals = part.indexOf('=');
      if (equals === -1 || !masked.has(decoded(part.slice(0, equals)))) return part;
      return `${part.slice(0, equals)}=${MASKED}`;
    });
    return url.slice(0, queryAt + 1) + kept.join('');
  };
}

function decoded(name: string): string {
  const text = name.replaceAll('+', ' ').toLowerCase();
  if (!text.includes('%')) return text;
  // Names of one's own are ASCII; what is not cannot be one of them.
  return text
    .replaceAll(/%([0-9a-f]{2})/g, (_, digits: string) =>
      String.fromCharCode(Number.parseInt(digits, 16)),
    )
    .toLowerCase();
}
