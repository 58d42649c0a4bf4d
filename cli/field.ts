import { InvalidArgumentError } from 'commander';

/** Lower-case name and value of a header field. */
export type Field = readonly [name: string, value: string];

/** Reads an option that may be given several times, as `Name: value`. */
export function appendField(text: string, before: readonly Field[]): readonly Field[] {
  const [, name, value] = /^([^:\s]+):\s*(.*?)\s*$/.exec(text) ?? [];
  if (name === undefined || value === undefined) {
    throw new InvalidArgumentError('Expected a field such as "Accept-Language: de".');
  }
  return [...before, [name.toLowerCase(), value]];
}
