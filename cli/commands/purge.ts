import { type Command, InvalidArgumentError } from 'commander';
import { CanopyError } from '#core/errors.ts';
import type { PurgeRequest } from '../api-client.ts';
import type { Purge } from '../api-types.ts';
import { connect, type ConnectionOptions, withConnection } from '../connection.ts';
import { print, table } from '../output.ts';
import { formatSize } from '../size.ts';

interface PurgeOptions extends ConnectionOptions {
  readonly site?: string;
  readonly soft: boolean;
  readonly wait: boolean;
  readonly timeout: number;
}

/** The exit code of what was not done on every node when time was up. */
export const INCOMPLETE = 2;

export function addPurge(program: Command): void {
  withConnection(
    program
      .command('purge')
      .description('make every node forget objects, by URL or a whole site')
      .argument('[url...]', 'absolute URLs; every variant of each is meant')
      .option('--site <name>', 'purge all of a site')
      .option('--soft', 'make stale rather than remove', false)
      .option('--wait', 'wait until it is complete and report each node', false)
      .option('--timeout <seconds>', 'how long to wait', seconds, 60),
  ).action(async (urls: string[], options: PurgeOptions) => {
    const order = orderOf(urls, options);
    const api = await connect(options);
    const { id } = await api.purge(order);
    if (!options.wait) {
      print(options.json, { id }, () => id);
      return;
    }
    const purge = await api.waitForPurge(id, options.timeout * 1000);
    print(options.json, purge, () => purgeReport(purge));
    if (purge.status !== 'complete') process.exitCode = INCOMPLETE;
  });
}

/** @throws CanopyError unless exactly one of URLs and site is given */
function orderOf(urls: readonly string[], { site, soft }: PurgeOptions): PurgeRequest {
  const mode = soft ? 'soft' : 'hard';
  if (site !== undefined && urls.length === 0) return { mode, site };
  if (site === undefined && urls.length > 0) return { mode, urls };
  throw new CanopyError('invalid-request', 'Give either URLs or --site NAME to purge');
}

/** One row per node, and how the whole stands. */
export function purgeReport(purge: Purge): string {
  const byName = purge.nodes.toSorted((a, b) => (a.node < b.node ? -1 : 1));
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
  return `${table(headings, rows)}\n\nPurge ${purge.id} (${purge.mode}) is ${purge.status}.`;
}

export function seconds(text: string): number {
  const number = Number(text);
  if (text.trim() !== '' && number >= 0 && number <= 86_400) return number;
  throw new InvalidArgumentError('Expected a number of seconds from 0 to 86400.');
}
