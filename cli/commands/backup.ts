import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { systemClock } from '#core/clock.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import { writeSecretFile } from '../atomic-file.ts';
import { connect, type ConnectionOptions, withConnection } from '../connection.ts';
import { print } from '../output.ts';
import { progressBar } from '../progress.ts';
import { stateSettings } from '../settings.ts';

interface RestoreOptions {
  readonly dir: string;
  readonly redis?: string;
  readonly force: boolean;
  readonly json: boolean;
}

export function addBackup(program: Command): void {
  withConnection(
    program
      .command('backup')
      .description("save the control plane's state, secrets included, while it runs")
      .argument('<file>', 'written whole or not at all, readable by its owner only'),
  ).action(async (file: string, options: ConnectionOptions) => {
    const bar = progressBar('Backup', 'bytes');
    const api = await connect(options);
    const backup = await api
      .backup((done, total) => bar?.update(done, total))
      .finally(() => bar?.stop());
    try {
      await writeSecretFile(file, backup);
    } catch (cause) {
      throw new CanopyError('invalid-input', `Cannot write ${file}: ${messageOf(cause)}`, {
        cause,
      });
    }
    const bytes = Buffer.byteLength(backup);
    print(options.json, { file, bytes }, () => `${file}: ${bytes} bytes. It holds secrets.`);
  });

  const { dir, redisUrl } = stateSettings;
  program
    .command('restore')
    .description('put a backup into the state of a control plane, which is stopped or on Redis')
    .argument('<file>', 'what `canopy backup` wrote')
    .addOption(new Option(dir.flag, dir.description).env(dir.variable).default(dir.default))
    .addOption(new Option(redisUrl.flag, redisUrl.description).env(redisUrl.variable))
    .option('--force', 'replace the state that is there', false)
    .option('--json', 'print JSON', false)
    .action(restore);
}

async function restore(file: string, options: RestoreOptions): Promise<void> {
  const { restoreState } = await import('#control-plane/restore.ts');
  const { redis } = options;
  const restored = await restoreState(await textOf(file), {
    dir: resolve(options.dir),
    ...(redis !== undefined && { redisUrl: redis }),
    force: options.force,
    clock: systemClock,
  });
  print(
    options.json,
    restored,
    () =>
      `${restored.sites} sites, ${restored.nodes} nodes and ${restored.tokens} tokens are back. ` +
      'Every node will treat what it holds as soft-purged.',
  );
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new CanopyError('invalid-input', `Cannot read ${file}: ${messageOf(cause)}`, { cause });
  }
}
