import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { expect, test } from 'vitest';
import { createProgram } from '#cli/program.ts';

const FILE = fileURLToPath(new URL('../../docs/commands.md', import.meta.url));

const HEAD = `# Every command and option

As \`canopy COMMAND --help\` says it. What an option of a process (\`edge\`, \`router\`, …) leaves open is said by the
variable beside it, then by the file of \`--config\`, then by the default. What commands are for is in
[operating.md](operating.md#commands), what they exit with in [cli.md](cli.md).
`;

/** For shells, which ask it what could come next. */
const INTERNAL = ['complete', 'completion'];

const cell = (text: string): string =>
  text
    .replaceAll('|', String.raw`\|`)
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;');

function section(command: Command, path: string): string {
  const name = `${path} ${command.name()}`;
  const words = command.registeredArguments.map((argument) => {
    const word = `${argument.name()}${argument.variadic ? '...' : ''}`;
    return argument.required ? ` <${word}>` : ` [${word}]`;
  });
  const rows = command.options.map(
    ({ flags, description, defaultValue, defaultValueDescription }) => {
      const isSaid =
        defaultValue === undefined || defaultValue === false || description.includes('default');
      const fallback = isSaid
        ? ''
        : ` (default: ${defaultValueDescription ?? String(defaultValue)})`;
      // As many threads as the machine has cores.
      const means = `${description}${fallback}`.replace(
        /(CANOPY_WORKERS, default) \d+/,
        '$1 one per core',
      );
      return `| \`${flags.replaceAll('|', String.raw`\|`)}\` | ${cell(means)} |`;
    },
  );
  const table =
    rows.length === 0 ? '' : `\n| option | means |\n| --- | --- |\n${rows.join('\n')}\n`;
  const inner = command.commands.filter((child) => !INTERNAL.includes(child.name()));
  return [
    `\n## ${name}\n\n\`${name}${words.join('')}\`: ${cell(command.description())}.\n${table}`,
    ...inner.map((child) => section(child, name)),
  ].join('');
}

test('commands.md is what our command line takes', async () => {
  const commands = createProgram().commands.filter((command) => !INTERNAL.includes(command.name()));
  const text = HEAD + commands.map((command) => section(command, 'canopy')).join('');
  expect(commands.length).toBeGreaterThan(20);
  // `npx vitest run test/cli/reference.test.ts -u` writes it anew.
  await expect(text).toMatchFileSnapshot(FILE);
});
