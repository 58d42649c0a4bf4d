import type { Command } from 'commander';
import type { Push } from '../api-types.ts';
import { connect, type ConnectionOptions, withConnection } from '../connection.ts';
import { EXIT } from '../exit-codes.ts';
import { print, table } from '../output.ts';
import { seconds } from './purge.ts';
import { whole } from './purges.ts';
import { isWhole, pushReport, waitForPush } from './push.ts';

interface GetOptions extends ConnectionOptions {
  readonly wait: boolean;
  readonly timeout: number;
}

export function addPushes(program: Command): void {
  const pushes = program.command('pushes').description('the latest pushes, and how far they are');

  withConnection(
    pushes
      .command('list', { isDefault: true })
      .description('the latest, newest first')
      .option('--limit <n>', 'so many, 1 to 1000', whole, 20),
  ).action(async (options: ConnectionOptions & { readonly limit: number }) => {
    const all = await (await connect(options)).pushes.latest(options.limit);
    print(options.json, all, () => table(HEADINGS, all.map(row)));
  });

  withConnection(
    pushes
      .command('get')
      .argument('<id>')
      .description('one push, node by node')
      .option('--wait', 'wait until it has ended', false)
      .option('--timeout <seconds>', 'how long to wait', seconds, 3_600),
  ).action(async (id: string, options: GetOptions) => {
    const api = await connect(options);
    const push = await waitForPush(api, id, options.wait ? options.timeout * 1000 : 0);
    print(options.json, push, () => pushReport(push));
    if (options.wait && !isWhole(push)) process.exitCode = EXIT.incomplete;
  });

  withConnection(
    pushes.command('cancel').argument('<id>').description('fetch nothing more of it'),
  ).action(async (id: string, options: ConnectionOptions) => {
    const push = await (await connect(options)).pushes.cancel(id);
    print(options.json, push, () => pushReport(push));
  });
}

const HEADINGS = ['id', 'ordered', 'status', 'priority', 'urls', 'nodes', 'failed', 'by', 'reason'];

const row = (push: Push): readonly (string | number)[] => [
  push.id,
  new Date(push.createdAt).toISOString(),
  push.status,
  push.priority,
  push.urls,
  push.nodes.length,
  push.nodes.reduce((sum, { failed }) => sum + failed, 0),
  push.by,
  push.reason ?? '',
];
