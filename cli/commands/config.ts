import { type Command, InvalidArgumentError } from 'commander';
import { stringify } from 'yaml';
import type { ApiClient } from '../api-client.ts';
import type { Outcome, Rollout, Version } from '../api-types.ts';
import { asWritten, namingFiles, readConfig, writeConfig } from '../config-files.ts';
import { confirm } from '../confirm.ts';
import { connect, type ConnectionOptions, withConnection } from '../connection.ts';
import { diffView, findingsView } from '../diff-view.ts';
import { EXIT } from '../exit-codes.ts';
import { print, table } from '../output.ts';
import { progressBar } from '../progress.ts';
import { seconds } from './purge.ts';

interface ChangeOptions extends ConnectionOptions {
  readonly yes: boolean;
  readonly dryRun: boolean;
  readonly exitCode: boolean;
  readonly reason?: string;
  readonly timeout: number;
}

interface ApplyOptions extends ChangeOptions {
  readonly canary?: readonly string[];
  readonly keepOnRefusal: boolean;
}

/** How often it looks how far a rollout is. */
const LOOK_MS = 500;

export function addConfig(program: Command): void {
  const config = program.command('config').description('all sites at once, and their history');

  withChange(
    config
      .command('apply')
      .argument('<path>', 'a file with `sites`, or a directory of them: all that there are to be')
      .description('make the network as the files say; shows what changes first')
      .option('--canary <nodes>', 'only on these nodes, until it is promoted', names)
      .option('--keep-on-refusal', 'leave it on the others when a node refuses it', false),
  ).action(apply);

  withConnection(
    config
      .command('export')
      .argument('[directory]', 'a file per site; left out: all to standard output')
      .description('the sites as files that can be applied')
      .option('--at <version>', 'as they were in an earlier version', version),
  ).action(exportConfig);

  withConnection(
    config
      .command('diff')
      .argument('<from>', 'a version', version)
      .argument('[to]', 'another; left out: the one in effect', version)
      .description('what differs between two versions')
      .option('--exit-code', `exit with ${EXIT.different} if anything does`, false),
  ).action(diff);

  withConnection(
    config
      .command('versions')
      .description('who changed what, and why, the latest first')
      .option('--limit <n>', 'how many', version, 20),
  ).action(async (options: ConnectionOptions & { readonly limit: number }) => {
    const { items } = await (await connect(options)).versions(options.limit);
    print(options.json, items, () => table(VERSION_HEADINGS, items.map(versionRow)));
  });

  withConnection(
    config
      .command('status')
      .argument('[version]', 'left out: the latest', version)
      .description('how far a version is, node by node'),
  ).action(status);

  withChange(
    config
      .command('rollback')
      .argument('<version>', '0: what was before the first', version)
      .description('bring back the sites of an earlier version, as a new one'),
  ).action(rollback);

  for (const [verb, description] of CANARY_ENDS) {
    withConnection(
      config
        .command(verb)
        .description(description)
        .option('--timeout <seconds>', 'how long to wait for the nodes', seconds, 60),
    ).action(async (options: ConnectionOptions & { readonly timeout: number }) => {
      const api = await connect(options);
      await report(api, await api.endCanary(verb), options);
    });
  }
}

const CANARY_ENDS = [
  ['promote', 'give the canary to every node'],
  ['abort', 'take the canary from its nodes'],
] as const;

const withChange = (command: Command): Command =>
  withConnection(
    command
      .option('--yes', 'do not ask', false)
      .option('--dry-run', 'show what would change, and change nothing', false)
      .option('--exit-code', `with --dry-run: exit with ${EXIT.different} if anything would`, false)
      .option('--reason <text>', 'why, for the history')
      .option('--timeout <seconds>', 'how long to wait for the nodes', seconds, 60),
  );

async function apply(path: string, options: ApplyOptions): Promise<void> {
  const { sites, files } = await readConfig(path);
  const { canary, keepOnRefusal, reason } = options;
  const request = {
    sites,
    ...(reason !== undefined && { reason }),
    ...(canary !== undefined && { canary }),
    ...(keepOnRefusal && { onRefusal: 'keep' as const }),
  };
  await change(options, async (api, dryRun, base) => {
    try {
      return await api.applyConfig({ ...request, dryRun }, base);
    } catch (error) {
      throw namingFiles(error, files);
    }
  });
}

async function rollback(to: number, options: ChangeOptions): Promise<void> {
  const { reason } = options;
  const request = { to, ...(reason !== undefined && { reason }) };
  await change(options, (api, dryRun, base) => api.rollbackConfig({ ...request, dryRun }, base));
}

/** Shows what would change, asks, changes it, and waits for the nodes. */
async function change(
  options: ChangeOptions,
  send: (api: ApiClient, dryRun: boolean, base?: number) => Promise<Outcome>,
): Promise<void> {
  const api = await connect(options);
  const planned = await send(api, true);
  const { base, diff: changes, findings } = planned;
  const say = (text: string): void => {
    if (!options.json && text !== '') console.log(text);
  };
  say(findingsView(findings));
  say(changes.length === 0 ? `Nothing differs from version ${base}.` : diffView(changes));
  if (changes.length === 0 || options.dryRun) {
    if (options.json) print(true, planned, () => '');
    if (changes.length > 0 && options.exitCode) process.exitCode = EXIT.different;
    return;
  }
  const isSound = findings.every(({ severity }) => severity === 'warning');
  // What is not sound is refused in the words of the control plane.
  if (isSound && !options.yes && !(await confirm(`Change version ${base} so?`))) {
    say('Nothing was changed.');
    process.exitCode = EXIT.failed;
    return;
  }
  const { version: made } = await send(api, false, base);
  if (made === null) say(`Nothing differs any more.`);
  else await report(api, made.number, options);
}

/** Waits until nothing is pending, and says how every node stands. */
async function report(
  api: ApiClient,
  number: number,
  options: ConnectionOptions & { readonly timeout: number },
): Promise<void> {
  const rollout = await waitForRollout(api, number, options.timeout * 1000);
  print(options.json, rollout, () => rolloutView(rollout));
  if (rollout.status === 'halted') process.exitCode = EXIT.refused;
  else if (isPending(rollout)) process.exitCode = EXIT.incomplete;
}

async function waitForRollout(api: ApiClient, number: number, timeoutMs: number): Promise<Rollout> {
  const endMs = performance.now() + timeoutMs;
  const bar = progressBar(`Version ${number}`, 'nodes');
  try {
    for (;;) {
      const leftMs = Math.max(0, Math.round(endMs - performance.now()));
      const rollout = await api.rollout(number, Math.min(leftMs, LOOK_MS));
      const settled = rollout.nodes.filter((node) => node.status !== 'pending');
      bar?.update(settled.length, rollout.nodes.length);
      if (!isPending(rollout) || leftMs <= LOOK_MS) return rollout;
    }
  } finally {
    bar?.stop();
  }
}

const isPending = ({ status: is, nodes }: Rollout): boolean =>
  is === 'rolling-out' || nodes.some((node) => node.status === 'pending');

async function exportConfig(
  directory: string | undefined,
  options: ConnectionOptions & { readonly at?: number },
): Promise<void> {
  const found = await (await connect(options)).config(options.at);
  if (directory !== undefined) {
    const files = await writeConfig(directory, found.sites);
    print(options.json, { version: found.version, files }, () => files.join('\n'));
    return;
  }
  const sites = found.sites.map(asWritten);
  // As it can be applied.
  print(options.json, { sites }, () => stringify({ sites }).trimEnd());
}

async function diff(
  from: number,
  to: number | undefined,
  options: ConnectionOptions & { readonly exitCode: boolean },
): Promise<void> {
  const found = await (await connect(options)).configDiff(from, to);
  print(options.json, found, () =>
    found.diff.length === 0
      ? `Versions ${found.from} and ${found.to} have the same sites.`
      : diffView(found.diff),
  );
  if (options.exitCode && found.diff.length > 0) process.exitCode = EXIT.different;
}

async function status(number: number | undefined, options: ConnectionOptions): Promise<void> {
  const api = await connect(options);
  const latest = number ?? (await api.versions(1)).items[0]?.number;
  // Before the first there is nothing that could be on its way.
  if (latest === undefined) return print(options.json, null, () => 'There is no version yet.');
  const rollout = await api.rollout(latest);
  print(options.json, rollout, () => rolloutView(rollout));
}

function rolloutView(rollout: Rollout): string {
  const rows = rollout.nodes.map(({ node, tier, status: is, reason = '' }) => [
    node,
    tier,
    is,
    reason,
  ]);
  const nodes = rows.length === 0 ? '' : `${table(['node', 'tier', 'status', 'reason'], rows)}\n\n`;
  return `${nodes}Version ${rollout.number} is ${rollout.status}.`;
}

const VERSION_HEADINGS = ['version', 'status', 'when', 'author', 'sites', 'reason'] as const;

const versionRow = (v: Version): readonly (string | number)[] => [
  v.number,
  v.canary === null ? v.status : `${v.status} (${v.canary.join(' ')})`,
  new Date(v.createdAt).toISOString(),
  v.author,
  v.sites.join(' '),
  [v.rollbackTo === null ? '' : `(back to ${v.rollbackTo})`, v.reason ?? ''].join(' ').trim(),
];

function version(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Expected the number of a version.');
}

const names = (text: string): string[] => text.split(',').map((name) => name.trim());
