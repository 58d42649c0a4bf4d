import { Command, CommanderError } from 'commander';
import { version } from '#core/node/version.ts';
import { addAnnounce } from './commands/announce.ts';
import { addAudit } from './commands/audit.ts';
import tab from '@bomb.sh/tab/commander';
import { addBackup } from './commands/backup.ts';
import { addCertificates } from './commands/certificates.ts';
import { addConfig } from './commands/config.ts';
import { addExplain } from './commands/explain.ts';
import { addFunction } from './commands/function.ts';
import { addNodes } from './commands/nodes.ts';
import { addProcesses } from './commands/processes.ts';
import { addPurge } from './commands/purge.ts';
import { addPurges } from './commands/purges.ts';
import { addPush } from './commands/push.ts';
import { addPushes } from './commands/pushes.ts';
import { addPut } from './commands/put.ts';
import { addRelease } from './commands/release.ts';
import { addDnssec } from './commands/dnssec.ts';
import { addRoute } from './commands/route.ts';
import { addRules } from './commands/rules.ts';
import { addSign } from './commands/sign.ts';
import { addSimulate } from './commands/simulate.ts';
import { addSites } from './commands/sites.ts';
import { addTierKey } from './commands/tier-key.ts';
import { addDashboard } from './commands/dashboard.ts';
import { addTop } from './commands/top.ts';
import { addTokens } from './commands/tokens.ts';
import { addUp } from './commands/up.ts';
import { EXIT } from './exit-codes.ts';
import { errorLine } from './output.ts';

/** The `canopy` command with all that belongs to it. */
export function createProgram(): Command {
  const program = new Command('canopy')
    .description('The content delivery network that you run yourself.')
    .version(version, '--version')
    .showSuggestionAfterError()
    // So that a command whose own commands have options of the same names can tell them apart.
    .enablePositionalOptions()
    .configureOutput({
      // Commander spreads an error and its suggestion over two lines.
      outputError: (text, write) =>
        write(
          `canopy: ${text
            .trim()
            .replace(/^error: /, '')
            .replaceAll(/\s*\n\s*/g, ' ')}\n`,
        ),
    })
    .exitOverride();
  // Settings are inherited by the commands that are added after them.
  for (const add of [
    addUp,
    addPut,
    addPurge,
    addPurges,
    addPush,
    addPushes,
    addRelease,
    addSites,
    addFunction,
    addCertificates,
    addConfig,
    addNodes,
    addTokens,
    addAudit,
    addTop,
    addDashboard,
    addTierKey,
    addExplain,
    addRoute,
    addDnssec,
    addRules,
    addSign,
    addSimulate,
    addAnnounce,
    addBackup,
    addProcesses,
  ])
    add(program);
  // Reads the commands that are there by now.
  tab(program, { completionCommandName: 'completion' });
  return program;
}

/** Runs one command line. @returns nothing; failures are one line on stderr and the exit code */
export async function run(argv: readonly string[]): Promise<void> {
  try {
    await createProgram().parseAsync(argv);
  } catch (error) {
    // Commander has said what it had to say.
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode;
      return;
    }
    console.error(errorLine(error));
    // What was half started, or the channel to a parent, would keep the process alive.
    process.exit(EXIT.failed);
  }
}
