import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';

// What real shells make of it.

const ENTRY = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));
const LIMIT_MS = 60_000;

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'canopy-completion-'));
  const command = join(dir, 'canopy');
  await writeFile(command, `#!/bin/sh\nexec '${process.execPath}' '${ENTRY}' "$@"\n`);
  await chmod(command, 0o755);
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const run = async (file: string, ...args: readonly string[]): Promise<string> => {
  const env = { ...process.env, HOME: dir, PATH: `${dir}${delimiter}${process.env['PATH']}` };
  return (await promisify(execFile)(file, args, { env })).stdout;
};

async function script(shell: string): Promise<string> {
  const file = join(dir, `completion.${shell}`);
  await writeFile(file, await run('canopy', 'completion', shell));
  return file;
}

test(
  'fish completes commands and options, and says what they do',
  { timeout: LIMIT_MS },
  async () => {
    const file = await script('fish');
    const complete = (line: string): Promise<string> =>
      run('fish', '--no-config', '--command', `source ${file}; complete --do-complete "${line}"`);
    expect(await complete('canopy config pro')).toBe('promote\tgive the canary to every node\n');
    expect(await complete('canopy purge --so')).toContain(
      '--soft\tmake stale; the default for hosts, a site and everything\n',
    );
  },
);

test.for(['bash', 'zsh'])('%s reads it', { timeout: LIMIT_MS }, async (shell) => {
  expect(await run(shell, '-n', await script(shell))).toBe('');
});
