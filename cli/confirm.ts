import { createInterface } from 'node:readline/promises';
import { CanopyError } from '#core/errors.ts';

/**
 * Asks whether to go on, on stderr, for stdout may go elsewhere.
 * @returns false if the answer is no
 * @throws CanopyError `invalid-request` where nobody is there to answer
 */
export async function confirm(question: string): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new CanopyError('invalid-request', 'Nobody is there to be asked: give --yes to go on');
  }
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(?:es)?$/i.test((await asking.question(`${question} [y/N] `)).trim());
  } finally {
    asking.close();
  }
}
