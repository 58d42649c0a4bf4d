import type { Values } from './template.ts';

/** The captures of a path as variables: `1` is the first. */
export const capturesOf = (captures: readonly string[]): Values =>
  Object.fromEntries(captures.map((capture, i) => [String(i + 1), capture]));
