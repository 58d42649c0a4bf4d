import { type HeaderChanges, isRemovable } from '#core/contract/rules/headers.ts';
import { type Fields, withoutFields } from '#core/http/fields.ts';
import type { RequestFacts } from './facts.ts';
import { type Template, templateOf } from './template.ts';

/** A header section changed for a request. */
export type ChangeFields = (fields: Fields, request: RequestFacts) => Fields;

/** Made once, when the rule arrives. */
export function fieldsChanger({ remove, set, append }: HeaderChanges): ChangeFields {
  const lower = remove.map((name) => name.toLowerCase());
  const names = new Set([
    ...lower.filter((name) => !name.endsWith('*')),
    ...Object.keys(set).map((name) => name.toLowerCase()),
  ]);
  const prefixes = lower.filter((name) => name.endsWith('*')).map((name) => name.slice(0, -1));
  const drops = (name: string): boolean =>
    names.has(name) || prefixes.some((prefix) => name.startsWith(prefix));
  const added = [...Object.entries(set), ...Object.entries(append)].map(
    ([name, text]): [string, Template] => [name, templateOf(text)],
  );
  return (fields, request) => [
    ...withoutFields(fields, (name) => isRemovable(name) && drops(name)),
    ...added.flatMap(([name, value]) => [name, value(request)]),
  ];
}
