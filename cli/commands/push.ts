import { type Command, InvalidArgumentError, Option } from 'commander';
import { CanopyError } from '#core/errors.ts';
import type { ApiClient } from '../api-client.ts';
import type { PushRequest } from '../push-api.ts';
import type { Push } from '../api-types.ts';
import { connect, type ConnectionOptions, withConnection } from '../connection.ts';
import { EXIT } from '../exit-codes.ts';
import { linesOf } from '../lines.ts';
import { appendField, type Field } from '../field.ts';
import { print, table } from '../output.ts';
import { progressBar } from '../progress.ts';
import { formatSize, parseSize } from '../size.ts';
import { seconds } from './purge.ts';

interface PushOptions extends ConnectionOptions {
  readonly file: readonly string[];
  readonly sitemap: readonly string[];
  readonly manifest: readonly string[];
  readonly locations?: readonly string[];
  readonly nodes?: readonly string[];
  readonly tier?: string;
  readonly priority: string;
  readonly rate?: number;
  readonly concurrency?: number;
  readonly encodings?: readonly string[];
  readonly header: readonly Field[];
  readonly country: readonly string[];
  readonly expires?: number;
  readonly reason?: string;
  readonly wait: boolean;
  readonly timeout: number;
}

export function addPush(program: Command): void {
  withConnection(
    program
      .command('push')
      .description('store objects in nodes before anybody asks for them')
      .argument('[url...]', 'absolute URLs of sites of the network')
      .option('--file <file>', 'URLs, one a line; - for standard input', append, [])
      .option('--sitemap <url>', 'all that a sitemap names, or an index of sitemaps', append, [])
      .option('--manifest <url>', 'all that an HLS or DASH manifest names', append, [])
      .option('--locations <names>', 'edges of these locations only', names)
      .option('--nodes <names>', 'these edges or mid-tiers only', names)
      .addOption(new Option('--tier <tier>', 'default: edge').choices(['edge', 'mid-tier']))
      .addOption(
        new Option('--priority <priority>', 'which push goes first')
          .choices(['high', 'normal', 'low'])
          .default('normal'),
      )
      .option('--rate <size>', 'bytes per second that each node may fetch, such as 10m', rate)
      .option('--concurrency <n>', 'objects that each node fetches at a time', concurrency)
      .option('--encodings <codings>', 'push a variant for each, such as br,gzip,identity', names)
      .option('--header <field>', 'what clients ask with, as "Name: value"', appendField, [])
      .option('--country <codes>', 'push a variant for each country, such as DE,AT', names, [])
      .option('--expires <seconds>', 'what is not pushed by then is not', seconds)
      .option('--reason <text>', 'for the history')
      .option('--wait', 'wait until it has ended and report each node', false)
      .option('--timeout <seconds>', 'how long to wait', seconds, 3_600),
  ).action(push);
}

async function push(urls: string[], options: PushOptions): Promise<void> {
  const order = await orderOf(urls, options);
  const api = await connect(options);
  const ordered = await api.pushes.order(order);
  if (!options.wait) {
    print(options.json, ordered, () => ordered.id);
    return;
  }
  const ended = await waitForPush(api, ordered.id, options.timeout * 1000);
  print(options.json, ended, () => pushReport(ended));
  if (!isWhole(ended)) process.exitCode = EXIT.incomplete;
}

/** Whether every object is where it was to be. */
export const isWhole = ({ status, nodes }: Push): boolean =>
  status === 'complete' && nodes.every((node) => node.status === 'complete' && node.failed === 0);

/** The push as it stands once it has ended, or after `timeoutMs`; shows how far it is meanwhile. */
export async function waitForPush(api: ApiClient, id: string, timeoutMs: number): Promise<Push> {
  const bar = progressBar('Push', 'objects');
  try {
    const show = ({ nodes }: Push): void =>
      bar?.update(total(nodes.map(settled)), total(nodes.map(({ objects }) => objects)));
    return await api.pushes.wait(id, timeoutMs, bar && show);
  } finally {
    bar?.stop();
  }
}

const total = (counts: readonly number[]): number => counts.reduce((sum, count) => sum + count, 0);

const settled = ({ placed, elsewhere, failed }: Push['nodes'][number]): number =>
  placed + elsewhere + failed;

async function orderOf(urls: readonly string[], options: PushOptions): Promise<PushRequest> {
  const listed = await Promise.all(options.file.map(linesOf));
  const all = [...urls, ...listed.flat()];
  const { sitemap, manifest, locations, nodes, tier, rate: bytesPerSecond } = options;
  if (all.length + sitemap.length + manifest.length === 0) {
    throw new CanopyError('invalid-request', 'Give URLs, --file, --sitemap or --manifest to push');
  }
  const variants = variantsOf(options);
  return {
    urls: all,
    sitemaps: sitemap,
    manifests: manifest,
    to: {
      ...(tier !== undefined && { tier }),
      ...(locations !== undefined && { locations }),
      ...(nodes !== undefined && { nodes }),
    },
    priority: options.priority,
    ...(bytesPerSecond !== undefined && { bytesPerSecond }),
    ...(options.concurrency !== undefined && { concurrency: options.concurrency }),
    ...(options.expires !== undefined && { expiresInSeconds: options.expires }),
    ...(options.reason !== undefined && { reason: options.reason }),
    ...(variants !== undefined && { variants }),
  };
}

/** Every coding for every country; `undefined`: as most clients are. */
function variantsOf({ encodings, header, country }: PushOptions): PushRequest['variants'] {
  if (encodings === undefined && header.length === 0 && country.length === 0) return undefined;
  const given = Object.fromEntries(header);
  const codings = encodings ?? ['gzip, br, zstd'];
  const countries = country.length === 0 ? [undefined] : country;
  return codings.flatMap((coding) =>
    countries.map((code) => ({
      fields: { ...(coding === 'identity' ? {} : { 'accept-encoding': coding }), ...given },
      ...(code !== undefined && { country: code }),
    })),
  );
}

/** One row per node, what failed, and how the whole stands. */
export function pushReport(pushed: Push): string {
  const byName = pushed.nodes.toSorted((a, b) => (a.node < b.node ? -1 : 1));
  const rows = byName.map((node) => [
    node.node,
    node.tier,
    node.location,
    node.status,
    `${settled(node)}/${node.objects}`,
    node.fetched,
    node.failed,
    formatSize(node.bytes),
    node.tookMs === null ? '-' : Math.round(node.tookMs),
  ]);
  const headings = ['node', 'tier', 'location', 'status', 'objects', 'fetched', 'failed', 'bytes'];
  const failures = byName.flatMap(({ node, failures: of }) =>
    of.map(({ url, reason }) => [node, reason, url]),
  );
  const failed = failures.length === 0 ? '' : `\n\n${table(['node', 'reason', 'url'], failures)}`;
  const skipped =
    pushed.skipped === 0 ? '' : ` ${pushed.skipped} URLs of other sites were skipped.`;
  const rest = `Push ${pushed.id} of ${pushed.urls} URLs is ${pushed.status}.${skipped}`;
  return `${table([...headings, 'ms'], rows)}${failed}\n\n${rest}`;
}

function append(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

function names(value: string): readonly string[] {
  const list = value.split(',').map((name) => name.trim());
  if (list.every((name) => name !== '')) return list;
  throw new InvalidArgumentError('Expected names with commas between.');
}

function rate(value: string): number {
  const bytes = parseSize(value.replace(/\/s$/, ''));
  if (bytes !== undefined && bytes >= 1024) return bytes;
  throw new InvalidArgumentError('Expected bytes per second of at least 1k, such as 512k or 10m.');
}

function concurrency(value: string): number {
  const number = Number(value);
  if (Number.isInteger(number) && number >= 1 && number <= 64) return number;
  throw new InvalidArgumentError('Expected a number from 1 to 64.');
}
