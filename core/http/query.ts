/** Which parameters of a query are kept, by their names as spelled in the URL. */
export type KeptParameters =
  | 'all'
  | 'none'
  /** A trailing `*` stands for any ending. */
  | { readonly include: readonly string[] }
  | { readonly exclude: readonly string[] };

/**
 * A function that reduces a request target to its path and the kept parameters. Nothing is decoded
 * or spelled anew: `a`, `a=` and `%61` are three names or values. Folding twice changes nothing.
 * @param sort order by name, octet by octet; parameters of one name stay in their order
 */
export function targetFolder(kept: KeptParameters, sort: boolean): (target: string) => string {
  const keeps = filterOf(kept);
  return (target) => {
    const queryAt = target.indexOf('?');
    if (queryAt === -1) return target;
    const path = target.slice(0, queryAt);
    if (kept === 'none') return path;
    const parameters = target.slice(queryAt + 1).split('&');
    const counted = keeps === undefined ? parameters : parameters.filter((p) => keeps(nameOf(p)));
    const ordered = sort && !isSorted(counted) ? counted.toSorted(byName) : counted;
    if (ordered === parameters) return target;
    const query = ordered.join('&');
    return query === '' ? path : `${path}?${query}`;
  };
}

function filterOf(kept: KeptParameters): ((name: string) => boolean) | undefined {
  if (typeof kept === 'string') return undefined;
  const [listed, included] =
    'include' in kept ? [matcherOf(kept.include), true] : [matcherOf(kept.exclude), false];
  return (name) => listed(name) === included;
}

function matcherOf(patterns: readonly string[]): (name: string) => boolean {
  const names = new Set(patterns.filter((pattern) => !pattern.endsWith('*')));
  const prefixes = patterns.filter((pattern) => pattern.endsWith('*')).map((p) => p.slice(0, -1));
  return (name) => names.has(name) || prefixes.some((prefix) => name.startsWith(prefix));
}

function nameOf(parameter: string): string {
  const end = parameter.indexOf('=');
  return end === -1 ? parameter : parameter.slice(0, end);
}

function byName(a: string, b: string): number {
  const one = nameOf(a);
  const other = nameOf(b);
  if (one === other) return 0;
  return one < other ? -1 : 1;
}

const isSorted = (parameters: readonly string[]): boolean =>
  parameters.every((parameter, i) => i === 0 || byName(parameters[i - 1] ?? '', parameter) <= 0);

/** A target without the parameters of that name, as spelled in the URL; what is left stays as it was. */
export function withoutParameter(target: string, name: string): string {
  const queryAt = target.indexOf('?');
  if (queryAt === -1) return target;
  const parameters = target.slice(queryAt + 1).split('&');
  const kept = parameters.filter((parameter) => nameOf(parameter) !== name);
  if (kept.length === parameters.length) return target;
  const path = target.slice(0, queryAt);
  return kept.length === 0 ? path : `${path}?${kept.join('&')}`;
}
