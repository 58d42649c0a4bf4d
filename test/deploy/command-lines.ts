import { flagsByKey } from '#cli/commands/processes.ts';
import { resolveConfig, type Settings } from '#cli/config.ts';
import { createProgram } from '#cli/program.ts';
import { PROCESS_SETTINGS } from '#cli/settings.ts';

const SETTINGS: Readonly<Record<string, Settings>> = PROCESS_SETTINGS;

/**
 * What is wrong with a process that is started so; nothing: our command line takes it.
 * @param argv what stands after `canopy`
 */
export function faults(
  argv: readonly string[],
  environment: Readonly<Record<string, string>>,
): readonly string[] {
  const [name = '', ...args] = argv;
  const settings = SETTINGS[name];
  const command = createProgram().commands.find((known) => known.name() === name);
  if (settings === undefined || command === undefined) return [`no process ${name}`];
  const { operands, unknown } = command.parseOptions([...args]);
  const variables = new Set(Object.values(settings).map(({ variable }) => variable));
  const strange = Object.keys(environment).filter((variable) => !variables.has(variable));
  const stray = [...operands, ...unknown, ...strange].map((word) => `unknown: ${word}`);
  try {
    resolveConfig(settings, { flags: flagsByKey(settings, command), environment });
    return stray;
  } catch (error) {
    return [...stray, String(error)];
  }
}
