import { readFile } from 'node:fs/promises';
import { text as textOf } from 'node:stream/consumers';
import { CanopyError, messageOf } from '#core/errors.ts';

/** The lines of a file, or of standard input for `-`, that are neither empty nor comments. */
export async function linesOf(file: string): Promise<readonly string[]> {
  try {
    const content = await (file === '-' ? textOf(process.stdin) : readFile(file, 'utf8'));
    const lines = content.split('\n').map((line) => line.trim());
    return lines.filter((line) => line !== '' && !line.startsWith('#'));
  } catch (cause) {
    throw new CanopyError('invalid-input', `Cannot read ${file}: ${messageOf(cause)}`, { cause });
  }
}
