import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { EXIT } from '#cli/exit-codes.ts';
import { KINDS } from '#control-plane/config/findings.ts';
import { siteSchema } from '#core/contract/site.ts';
import { ERRORS } from '#core/errors.ts';
import { METRICS } from '#core/telemetry/metrics.ts';

const page = (name: string): Promise<string> =>
  readFile(new URL(`../../docs/${name}`, import.meta.url), 'utf8');

/** The first cells of a page's table rows, unquoted. */
const firstCells = (text: string): string[] =>
  [...text.matchAll(/^\| `([^`|]+)`/gm)].map(([, cell]) => cell ?? '');

interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly oneOf?: readonly JsonSchema[];
}

function pathsOf(schema: JsonSchema, path = ''): string[] {
  const parts = schema.oneOf ?? [];
  const items = schema.items?.properties === undefined ? [] : pathsOf(schema.items, `${path}[]`);
  const inner = Object.entries(schema.properties ?? {}).flatMap(([name, child]) =>
    pathsOf(child, path === '' ? name : `${path}.${name}`),
  );
  const all = [...parts.flatMap((part) => pathsOf(part, path)), ...inner];
  return all.length === 0 ? [path, ...items] : [...new Set(all)];
}

const RULE_CACHE = 'rules[].cache.';
const RULE_NOT = 'rules[].match.not.';

test('every site setting is documented, and nothing that does not exist', async () => {
  const schema = z.toJSONSchema(siteSchema, { io: 'input', unrepresentable: 'any' });
  const documented = [
    ...firstCells(await page('site-settings.md')),
    ...firstCells(await page('rules.md')),
  ];
  const paths = pathsOf(schema as JsonSchema);
  // A rule may set what is described once for all answers.
  const ofRules = paths.filter((path) => path.startsWith(RULE_CACHE));
  expect(documented).toEqual(
    expect.arrayContaining(ofRules.map((path) => path.slice('rules[].'.length))),
  );
  const others = paths.filter((path) => !path.startsWith(RULE_CACHE) && !path.startsWith(RULE_NOT));
  expect(documented.toSorted()).toEqual(
    [...others, 'rules[].cache', 'rules[].match.not'].toSorted(),
  );
});

test('every error code is documented as it is', async () => {
  const text = (await page('errors.md')).replaceAll(/ +/g, ' ');
  expect(firstCells(text)).toEqual(Object.keys(ERRORS));
  for (const [code, { status, side, retrySafe, title }] of Object.entries(ERRORS)) {
    expect(text).toContain(
      `| \`${code}\` | ${status} | ${side} | ${retrySafe ? 'yes' : 'no'} | ${title} |`,
    );
  }
});

test('every exit code is documented', async () => {
  expect(firstCells(await page('cli.md'))).toEqual(Object.values(EXIT).map(String));
});

test('every finding is documented with its severity', async () => {
  const text = (await page('configuration.md')).replaceAll(/ +/g, ' ');
  for (const [kind, severity] of Object.entries(KINDS)) {
    expect(text).toContain(`| \`${kind}\` | ${severity === 'error' ? 'an error' : 'a warning'} |`);
  }
});

test('every metric is documented as it is, among those of its processes', async () => {
  const text = (await page('metrics.md')).replaceAll(/ +/g, ' ');
  const documented = text.split('\n## ').flatMap((section) => {
    const group = /^.* \(`([a-z-]+)`\)\n/.exec(section)?.[1] ?? '';
    return [...section.matchAll(/^\| `(canopy_[^`|]+)`(.*)$/gm)].map(
      ([, name, rest]) => `${group} ${name}${rest}`,
    );
  });
  const actual = Object.entries(METRICS).map(([name, { group, type, labels, help }]) => {
    const named = labels.map((label) => `\`${label}\``).join(', ');
    return `${group} ${name} | ${type} | ${named} | ${help} |`.replaceAll(/ +/g, ' ');
  });
  expect(documented).toEqual(actual);
});
