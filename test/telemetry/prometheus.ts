/** One line of an exposition. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly type: string;
  readonly samples: readonly Sample[];
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"';
const LINE = new RegExp(`^(${NAME})(?:\\{(${LABEL}(?:,${LABEL})*)\\})? (\\S+)$`);
const ENDINGS: Readonly<Record<string, readonly string[]>> = {
  histogram: ['_bucket', '_sum', '_count'],
  summary: ['', '_sum', '_count'],
};

/**
 * Reads an exposition, and takes nothing that the format does not allow: every line belongs to the
 * metric named above it, no series comes twice, buckets only grow and end in the count.
 * @throws Error naming the line
 */
export function parseExposition(text: string, format: 'prometheus' | 'openmetrics') {
  const lines = text.split('\n');
  if (lines.pop() !== '') throw new Error('It does not end in a line break');
  if (format === 'openmetrics' && lines.pop() !== '# EOF') throw new Error('It has no # EOF');
  const families = new Map<string, { type: string; samples: Sample[] }>();
  const series = new Set<string>();
  let name = '';
  for (const line of lines) {
    const [, keyword, described, rest] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (keyword === 'HELP' && described !== undefined) {
      if (families.has(described)) throw new Error(`Twice: ${line}`);
      name = described;
      families.set(name, { type: '', samples: [] });
    } else if (keyword === 'TYPE') {
      const family = families.get(name);
      if (described !== name || family === undefined || rest === undefined) {
        throw new Error(`Not after its HELP: ${line}`);
      }
      family.type = rest;
    } else if (line !== '' || format === 'openmetrics') {
      const sample = sampleOf(line);
      const family = families.get(name);
      const own = format === 'openmetrics' && family?.type === 'counter' ? '_total' : '';
      const endings = ENDINGS[family?.type ?? ''] ?? [own];
      const isOfFamily = endings.some((ending) => `${name}${ending}` === sample.name);
      if (family === undefined || !isOfFamily) throw new Error(`Not of ${name}: ${line}`);
      const id = `${sample.name} ${JSON.stringify(Object.entries(sample.labels))}`;
      if (series.has(id)) throw new Error(`Twice: ${line}`);
      series.add(id);
      family.samples.push(sample);
    }
  }
  for (const [family, { type, samples }] of families) {
    if (type === 'histogram') checkBuckets(family, samples);
  }
  return families;
}

function sampleOf(line: string): Sample {
  const [, name, labels = '', value = ''] = LINE.exec(line) ?? [];
  const number = /^nan$/i.test(value) ? NaN : Number(value.replace(/^([+-]?)Inf$/, '$1Infinity'));
  if (name === undefined || (Number.isNaN(number) && !/^nan$/i.test(value))) {
    throw new Error(`Not a sample: ${line}`);
  }
  const pairs = [...labels.matchAll(/([^=,]+)="((?:[^"\\]|\\.)*)"/g)].map(
    ([, label = '', text = '']) => [label, text.replaceAll(/\\(.)/g, unescaped)] as const,
  );
  if (new Set(pairs.map(([label]) => label)).size < pairs.length) {
    throw new Error(`A label comes twice: ${line}`);
  }
  return { name, labels: Object.fromEntries(pairs), value: number };
}

const unescaped = (_: string, character: string): string => (character === 'n' ? '\n' : character);

function checkBuckets(family: string, samples: readonly Sample[]): void {
  let before = 0;
  for (const { name, labels, value } of samples) {
    if (name === `${family}_bucket`) {
      if (value < before) throw new Error(`${family}: a bucket of ${value} after ${before}`);
      before = value;
    } else if (name === `${family}_count`) {
      if (value !== before) throw new Error(`${family}: a count of ${value}, not ${before}`);
      before = 0;
    } else if (labels['le'] !== undefined) throw new Error(`${family}: ${name} has a bound`);
  }
}

/** The sum of a metric's values whose labels are as given. */
export function total(
  families: ReadonlyMap<string, Family>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  const family =
    families.get(name) ?? families.get(name.replace(/_(?:total|bucket|count|sum)$/, ''));
  if (family === undefined) throw new Error(`There is no ${name}`);
  return family.samples
    .filter((sample) => sample.name === name)
    .filter((sample) =>
      Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
    )
    .reduce((sum, { value }) => sum + value, 0);
}
