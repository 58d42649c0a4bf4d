import type { z } from 'zod';
import { CanopyError } from '#core/errors.ts';

/** One thing wrong with an input: where, what was expected, what came. */
export interface InputIssue {
  /** Dotted path of the field, `(root)` for the whole input. */
  readonly path: string;
  readonly expected: string;
  readonly received: string;
}

/** Thrown by `validate`; the message is one line that names every issue. */
export class InvalidInput extends CanopyError {
  readonly issues: readonly InputIssue[];

  constructor(subject: string, issues: readonly InputIssue[]) {
    const list = issues.map((i) => `${i.path}: expected ${i.expected}, received ${i.received}`);
    super('invalid-input', `Invalid ${subject}: ${list.join('; ')}`);
    this.issues = issues;
  }
}

/**
 * Checks `input` against `schema` and returns the parsed value, defaults filled in.
 * @param subject what the input is, for the message: `site`, `heartbeat`
 * @throws InvalidInput
 */
export function validate<T extends z.ZodType>(
  schema: T,
  input: unknown,
  subject: string,
): z.output<T> {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  throw new InvalidInput(
    subject,
    result.error.issues.flatMap((issue) => explain(issue, input)),
  );
}

function explain(issue: z.core.$ZodIssue, input: unknown): InputIssue[] {
  const path = issue.path;
  const received = describe(valueAt(input, path));
  if (issue.code === 'unrecognized_keys') {
    const container = valueAt(input, path);
    return issue.keys.map((key) => ({
      path: dotted([...path, key]),
      expected: 'no such field',
      received: describe(valueAt(container, [key])),
    }));
  }
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    // The branch that came furthest is the one that was meant; of several the one with least amiss.
    const meant =
      issue.errors.toSorted((a, b) => depth(b) - depth(a) || a.length - b.length)[0] ?? [];
    return meant.flatMap((inner) => explain({ ...inner, path: [...path, ...inner.path] }, input));
  }
  if (issue.code === 'invalid_key') {
    const expected = issue.issues.map((inner) => expectation(inner)).join(', ');
    const key = describe(path.at(-1));
    return [{ path: dotted(path.slice(0, -1)), expected: `for a key, ${expected}`, received: key }];
  }
  return [{ path: dotted(path), expected: expectation(issue), received }];
}

function expectation(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.expected === 'int' ? 'a whole number' : issue.expected;
    case 'invalid_value':
      return issue.values.map((value) => JSON.stringify(value)).join(' or ');
    case 'too_small':
      return `${measured(issue.origin)} at least ${issue.minimum}`;
    case 'too_big':
      return `${measured(issue.origin)} at most ${issue.maximum}`;
    case 'invalid_union':
      return issue.discriminator === undefined ? 'another form' : `a known ${issue.discriminator}`;
    default:
      // Our own patterns and refinements word their message as an expectation.
      return issue.message;
  }
}

/** What the bound of a size is a bound of. */
function measured(origin: string): string {
  if (origin === 'array') return 'a number of items of';
  return origin === 'string' ? 'a length of' : 'a number of';
}

const depth = (issues: readonly z.core.$ZodIssue[]): number =>
  Math.max(0, ...issues.map((issue) => issue.path.length));

const dotted = (path: readonly PropertyKey[]): string =>
  path.length === 0 ? '(root)' : path.map(String).join('.');

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value: unknown = input;
  for (const step of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Record<PropertyKey, unknown>)[step];
  }
  return value;
}

const LONGEST_SHOWN = 80;

function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value) ?? typeof value;
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
}
