import { mkdir, readFile } from 'node:fs/promises';
import { type Document, parseDocument } from 'yaml';
import { CanopyError, messageOf } from '#core/errors.ts';

/**
 * The value in a JSON or YAML file (JSON is YAML too).
 * @throws CanopyError `invalid-input` naming the file, and the line if it does not parse
 */
export async function readDocument(file: string): Promise<unknown> {
  return parseText(await textOf(file), file);
}

/** @throws CanopyError `invalid-input` naming the file */
export async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new CanopyError('invalid-input', `Cannot read ${file}: ${messageOf(cause)}`, { cause });
  }
}

/** @param name what the text is called in errors */
export function parseText(text: string, name: string): unknown {
  const document = parseDocument(text, { prettyErrors: true });
  const error = document.errors[0];
  if (error === undefined) return valueOf(document, name);
  const line = error.linePos?.[0].line ?? 1;
  const several = error.code === 'MULTIPLE_DOCS';
  const reason = several
    ? 'more than one document'
    : (error.message.split(' at line ')[0] ?? error.message);
  throw new CanopyError('invalid-input', `Cannot parse ${name}, line ${line}: ${reason}`, {
    cause: error,
  });
}

/** Aliases are resolved only now; one that names nothing is an error of the file too. */
function valueOf(document: Document, name: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (cause) {
    const reason = messageOf(cause).split('\n')[0] ?? '';
    throw new CanopyError('invalid-input', `Cannot parse ${name}: ${reason}`, { cause });
  }
}

/**
 * Makes a directory for secrets and state, with those above it.
 * @throws CanopyError `invalid-input` naming it
 */
export async function makeDir(dir: string): Promise<void> {
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new CanopyError('invalid-input', `Cannot make ${dir}: ${messageOf(cause)}`, { cause });
  }
}
