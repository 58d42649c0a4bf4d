import { wildcardsIn } from '#core/http/path-glob.ts';
import { isTemplate, variablesOf, VARIABLES } from '#core/rules/template.ts';

/** What the wildcards of a path stand for: `1` for the first. */
const CAPTURES = ['1', '2', '3', '4', '5', '6', '7', '8', '9'];

/** Whether `${…}` are variables or captures. */
export const isUrlTemplate = (text: string): boolean => isTemplate(text, CAPTURES);

export const URL_VARIABLES = `of variables only \${1} to \${9}, ${VARIABLES}`;

/** What is wrong with the captures that `text` names of `from`, if anything is. */
export function captureIssue(text: string, from: string | undefined): string | undefined {
  const wildcards = from === undefined ? 0 : wildcardsIn(from);
  const named = variablesOf(text).map(Number).filter(Number.isInteger);
  if (Math.max(0, ...named) <= wildcards) return undefined;
  if (from === undefined) return 'no ${1}, where there is no from that it could be of';
  return `at most \${${wildcards}}, as many as from has wildcards`;
}
