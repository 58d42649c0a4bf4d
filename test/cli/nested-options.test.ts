import { Command } from 'commander';
import { expect, test } from 'vitest';
import { optionsOf } from '#cli/connection.ts';

test.each([
  ['before the command', ['--dir', 'a', 'nested'], { dir: 'a', json: false }],
  ['after the command', ['nested', '--dir', 'a', '--json'], { dir: 'a', json: true }],
  ['both', ['--dir', 'a', 'nested', '--dir', 'b'], { dir: 'b', json: false }],
  ['neither', ['nested'], { dir: '.canopy', json: false }],
])('an option of a nested command is taken %s', async (_title, args, expected) => {
  const seen: object[] = [];
  const outer = new Command('outer').enablePositionalOptions();
  const nested = outer.command('nested');
  for (const one of [outer, nested])
    one.option('--dir <dir>', '', '.canopy').option('--json', '', false);
  nested.action((_, command: Command) => void seen.push(optionsOf(command)));
  await outer.parseAsync(args, { from: 'user' });
  expect(seen).toEqual([expected]);
});
