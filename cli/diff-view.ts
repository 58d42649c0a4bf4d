import { styleText } from 'node:util';
import { stringify } from 'yaml';
import { siteSchema } from '#core/contract/site.ts';
import type { Difference, Finding } from './api-types.ts';
import { asWritten } from './config-files.ts';

/** A change of the configuration as lines: `+` is new, `-` is gone, `~` is another; coloured on a terminal. */
export const diffView = (diff: readonly Difference[]): string =>
  diff.map((difference) => lineOf(difference)).join('\n');

function lineOf({ path, before, after }: Difference): string {
  if (before === undefined) return styleText('green', `+ ${path}${valueOf(after)}`);
  if (after !== undefined) {
    return styleText('yellow', `~ ${path}: ${JSON.stringify(before)} → ${JSON.stringify(after)}`);
  }
  // Of a site that goes the name says enough.
  return styleText('red', `- ${path}${isObject(before) ? '' : valueOf(before)}`);
}

function valueOf(value: unknown): string {
  if (!isObject(value)) return `: ${JSON.stringify(value)}`;
  const { data: site } = siteSchema.safeParse(value);
  const lines = stringify(site === undefined ? value : asWritten(site)).trimEnd();
  return `\n${lines.replaceAll(/^/gm, '+     ')}`;
}

/** What was found, one line each. */
export const findingsView = (findings: readonly Finding[]): string =>
  findings
    .map(({ severity, kind, message }) =>
      styleText(severity === 'error' ? 'red' : 'yellow', `${severity}: ${message} (${kind})`),
    )
    .join('\n');

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;
