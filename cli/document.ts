import { readFile } from 'node:fs/promises';
import { parseDocument } from 'yaml';
import { CanopyError, messageOf } from '#core/errors.ts';

/**
 * The value in a JSON or YAML file (JSON is YAML too).
 * @throws CanopyError `invalid-input` naming the file, and the line if it does not parse
 */
export async function readDocument(file: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new CanopyError('invalid-input', `Cannot read ${file}: ${messageOf(cause)}`, { cause });
  }
  return parseText(text, file);
}

/** @param name what the text is called in errors */
export function parseText(text: string, name: string): unknown {
  const document = parseDocument(text, { prettyErrors: true });
  const error = document.errors[0];
  if (error === undefined) return document.toJS({ maxAliasCount: 100 });
  const line = error.linePos?.[0].line ?? 1;
  const reason = error.message.split(' at line ')[0] ?? error.message;
  throw new CanopyError('invalid-input', `Cannot parse ${name}, line ${line}: ${reason}`, {
    cause: error,
  });
}
