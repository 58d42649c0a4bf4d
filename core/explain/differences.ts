import type { KeyDifference } from '#core/contract/explain.ts';
import { isSecret, masked } from './masked.ts';

const COOKIE = 'cookie:';
const ORIGIN = 'canopy-origin';

/** What one line of a selector says; `undefined`: the request has no such thing. */
type Selecting = ReadonlyMap<string, string | undefined>;

/**
 * The lines of a selector, see `keySelector` and `variantSelector`. What is the normal form of a list
 * stands there as it is, everything else after a `+`, or as `-` where it is missing.
 */
function linesOf(selector: string): Selecting {
  const lines = selector.split('\n').filter((line) => line !== '');
  return new Map(
    lines.map((line) => {
      const end = line.indexOf('=');
      const value = line.slice(end + 1);
      const said = value === '-' ? undefined : value.replace(/^\+/, '');
      return [line.slice(0, end), said] as const;
    }),
  );
}

function partOf(name: string, isOfKey: boolean): Pick<KeyDifference, 'part' | 'name'> {
  if (name.startsWith(COOKIE)) return { part: 'cookie', name: name.slice(COOKIE.length) };
  if (name === ORIGIN) return { part: 'origin', name: null };
  return { part: isOfKey ? 'header' : 'vary', name };
}

const shown = (part: KeyDifference['part'], name: string | null, value: string | undefined) =>
  value === undefined
    ? null
    : part === 'cookie' || (name !== null && isSecret(name))
      ? masked(value)
      : value;

/**
 * Where a request and a stored variant of its URL differ.
 * @param ofKey names of the inputs of the key; others are what `Vary` selects by
 */
export function selectorDifferences(
  asked: string,
  stored: string,
  ofKey: readonly string[],
): KeyDifference[] {
  const [here, there] = [linesOf(asked), linesOf(stored)];
  const names = [...new Set([...here.keys(), ...there.keys()])];
  return names.flatMap((name) => {
    const [a, b] = [here.get(name), there.get(name)];
    if (a === b && here.has(name) === there.has(name)) return [];
    const part = partOf(name, ofKey.includes(name));
    return [{ ...part, asked: shown(part.part, name, a), stored: shown(part.part, name, b) }];
  });
}

/** What a primary key is made of, see `cacheKey`; of our own origin neither scheme nor host. */
interface KeyParts {
  readonly scheme: string | undefined;
  readonly host: string | undefined;
  readonly path: string;
  readonly parameters: readonly string[];
}

function partsOf(key: string): KeyParts {
  const url = key.slice(key.indexOf(' ') + 1);
  const [, scheme, host, target = ''] = /^(?:(https?):\/\/([^/?]*))?(.*)$/s.exec(url) ?? [];
  const queryAt = target.indexOf('?');
  return {
    scheme,
    host,
    path: queryAt === -1 ? target : target.slice(0, queryAt),
    parameters: queryAt === -1 ? [] : target.slice(queryAt + 1).split('&'),
  };
}

/** Paths that people take for one another: letter case, a slash at the end, the directory's page. */
const alike = (path: string): string => path.toLowerCase().replace(/\/(?:index\.html?)?$/, '');

/**
 * Where two URLs differ that one may have been meant for the other; `undefined`: their paths are others.
 * @param asked @param stored primary keys of one site
 */
export function keyDifferences(asked: string, stored: string): KeyDifference[] | undefined {
  const [a, b] = [partsOf(asked), partsOf(stored)];
  if (a.path !== b.path && alike(a.path) !== alike(b.path)) return undefined;
  const differences: KeyDifference[] = [];
  for (const part of ['scheme', 'host', 'path'] as const) {
    if (a[part] === b[part]) continue;
    differences.push({ part, name: null, asked: a[part] ?? null, stored: b[part] ?? null });
  }
  return [...differences, ...queryDifferences(a.parameters, b.parameters)];
}

function queryDifferences(
  asked: readonly string[],
  stored: readonly string[],
): readonly KeyDifference[] {
  const [here, there] = [byName(asked), byName(stored)];
  const names = new Set([...here.keys(), ...there.keys()]);
  const differences = [...names].flatMap((name) => {
    const [a, b] = [here.get(name), there.get(name)];
    if (a === b) return [];
    return [
      {
        part: 'query' as const,
        name,
        asked: shown('query', name, a),
        stored: shown('query', name, b),
      },
    ];
  });
  if (differences.length > 0 || asked.join('&') === stored.join('&')) return differences;
  // The same parameters in another order.
  return [{ part: 'query', name: null, asked: list(asked), stored: list(stored) }];
}

const list = (parameters: readonly string[]): string => parameters.map(nameOf).join(', ');

const nameOf = (parameter: string): string => parameter.split('=', 1)[0] ?? '';

/** Values by name, as they are spelled; those of one name joined. */
function byName(parameters: readonly string[]): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const parameter of parameters) {
    const name = nameOf(parameter);
    const value = parameter.slice(name.length + 1);
    const before = values.get(name);
    values.set(name, before === undefined ? value : `${before}&${value}`);
  }
  return values;
}
