import { type Command, InvalidArgumentError, Option } from 'commander';
import type { PurgeMode } from '#core/contract/purge.ts';
import { CanopyError } from '#core/errors.ts';
import type { ApiClient, PurgeRequest, PurgeTargets } from '../api-client.ts';
import type { Purge, PurgePreview, Toll } from '../api-types.ts';
import { connect, type ConnectionOptions, withConnection } from '../connection.ts';
import { EXIT } from '../exit-codes.ts';
import { linesOf } from '../lines.ts';
import { print, table } from '../output.ts';
import { progressBar } from '../progress.ts';
import { formatSize } from '../size.ts';

interface PurgeOptions extends ConnectionOptions, Partial<Record<PurgeMode, true>> {
  readonly file?: string;
  readonly prefix?: readonly string[];
  readonly tag?: readonly string[];
  readonly host?: readonly string[];
  readonly site?: string;
  readonly everything?: true;
  readonly lift?: string;
  readonly reason?: string;
  readonly dryRun: boolean;
  readonly wait: boolean;
  readonly timeout: number;
}

const MODES: readonly [mode: PurgeMode, description: string][] = [
  ['hard', 'remove; the default for URLs, prefixes and tags'],
  ['soft', 'make stale; the default for hosts, a site and everything'],
  ['refresh', 'make stale, and fetch what is stored anew at once'],
  ['ban', 'remove, and store nothing that matches until it is lifted'],
];

export function addPurge(program: Command): void {
  const command = program
    .command('purge')
    .description('make every node forget objects')
    .argument('[url...]', 'absolute URLs; every variant of each is meant')
    .option('--file <file>', 'URLs, one on each line; - for standard input')
    .option('--prefix <prefix>', 'a host and path, with all below it; repeatable', addText)
    .option('--tag <tag>', 'what carries it, of --site or of every site; repeatable', addText)
    .option('--host <host>', 'all of a host; repeatable', addText)
    .option('--site <name>', 'all of a site')
    .option('--everything', 'all of every site')
    .option('--reason <text>', 'why, for the history')
    .option('--dry-run', 'only say what it would hit, and what the origin would be asked', false)
    .option('--wait', 'wait until it is complete and report each node', false)
    .option('--timeout <seconds>', 'how long to wait', seconds, 60)
    .option('--lift <id>', 'end the bans of an earlier purge instead');
  for (const [mode, description] of MODES) {
    const others = MODES.map(([other]) => other).filter((other) => other !== mode);
    command.addOption(new Option(`--${mode}`, description).conflicts(others));
  }
  withConnection(command).action(purge);
}

const addText = (text: string, previous: readonly string[] = []): string[] => [...previous, text];

async function purge(urls: string[], options: PurgeOptions): Promise<void> {
  const { lift, json, dryRun, wait, timeout } = options;
  if (lift !== undefined) {
    const answer = await (await connect(options)).liftBan(lift);
    print(json, answer, () => `The bans of purge ${lift} are lifted.`);
    return;
  }
  const order = await orderOf(urls, options);
  const api = await connect(options);
  if (dryRun) {
    const preview = await api.previewPurge(order);
    print(json, preview, () => previewReport(preview));
    if (preview.nodes.some(({ status }) => status === 'silent')) process.exitCode = EXIT.incomplete;
    return;
  }
  const { id } = await api.purge(order);
  if (!wait) {
    print(json, { id }, () => id);
    return;
  }
  const settled = await waitForPurge(api, id, timeout * 1000);
  print(json, settled, () => purgeReport(settled));
  if (settled.status !== 'complete') process.exitCode = EXIT.incomplete;
}

/** The purge as it stands once it is complete, or after `timeoutMs`; shows how far it is meanwhile. */
export async function waitForPurge(api: ApiClient, id: string, timeoutMs: number): Promise<Purge> {
  const bar = progressBar('Purge', 'nodes');
  try {
    const show = ({ nodes }: Purge): void => {
      const settled = nodes.filter(({ status }) => status !== 'pending');
      bar?.update(settled.length, nodes.length);
    };
    return await api.waitForPurge(id, timeoutMs, bar && show);
  } finally {
    bar?.stop();
  }
}

/** @throws CanopyError unless exactly one kind of thing to purge is named */
async function orderOf(given: readonly string[], options: PurgeOptions): Promise<PurgeRequest> {
  const { file, prefix, tag, host, site, everything, reason } = options;
  const urls = [...given, ...(file === undefined ? [] : await linesOf(file))];
  const kinds: PurgeTargets[] = [];
  if (urls.length > 0) kinds.push({ urls });
  if (prefix !== undefined) kinds.push({ prefixes: prefix });
  if (host !== undefined) kinds.push({ hosts: host });
  if (tag !== undefined) kinds.push({ tags: tag, ...(site !== undefined && { site }) });
  else if (site !== undefined) kinds.push({ site });
  if (everything) kinds.push({ everything });
  const [kind] = kinds;
  if (kind === undefined || kinds.length > 1) {
    throw new CanopyError(
      'invalid-request',
      'Give one of URLs, --prefix, --tag, --host, --site NAME and --everything to purge',
    );
  }
  const mode = MODES.find(([name]) => options[name])?.[0];
  return { ...kind, ...(mode && { mode }), ...(reason !== undefined && { reason }) };
}

/** One row per node, and how the whole stands. */
export function purgeReport({ id, mode, status, nodes }: Purge): string {
  const byName = nodes.toSorted((a, b) => (a.node < b.node ? -1 : 1));
  const rows = byName.map((node) => [
    node.node,
    node.tier,
    node.status,
    node.objects ?? '-',
    typeof node.bytes === 'number' ? formatSize(node.bytes) : '-',
    node.fills ?? '-',
    typeof node.tookMs === 'number' ? Math.round(node.tookMs) : '-',
  ]);
  const headings = ['node', 'tier', 'status', 'objects', 'bytes', 'fills', 'ms'];
  return `${table(headings, rows)}\n\nPurge ${id} (${mode}) is ${status}.`;
}

/** One row per node, and what they come to. */
function previewReport(preview: PurgePreview): string {
  const rows = preview.nodes.map((node) => [node.node, node.tier, node.status, ...tollRow(node)]);
  const headings = ['node', 'tier', 'status', 'objects', 'bytes', 'origin requests/s'];
  const total = ['all', '', '', ...tollRow(preview)];
  return `${table(headings, [...rows, total])}\n\nNothing is purged (${preview.mode}).`;
}

function tollRow({ objects, bytes, originRequestsPerSecond, sampled }: Toll): readonly string[] {
  const about = sampled === true ? '~' : '';
  return [
    objects === undefined ? '-' : `${about}${objects}`,
    bytes === undefined ? '-' : `${about}${formatSize(bytes)}`,
    String(originRequestsPerSecond ?? '-'),
  ];
}

export function seconds(input: string): number {
  const number = Number(input);
  if (input.trim() !== '' && number >= 0 && number <= 86_400) return number;
  throw new InvalidArgumentError('Expected a number of seconds from 0 to 86400.');
}
