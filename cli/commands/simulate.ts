import { writeFile } from 'node:fs/promises';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { DEFAULT_POLICY, POLICY_NAMES, type PolicyName } from '#core/cache/eviction/policies.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import { print, table } from '../output.ts';
import { bar, percent, progressBar } from '../simulate/bars.ts';
import { type Curve, hitRatioCurves, replayedRequests } from '../simulate/curves.ts';
import { readLogs, type Requests } from '../simulate/requests.ts';
import { curvesSvg } from '../simulate/svg.ts';
import { formatSize, sizeArgument } from '../size.ts';

interface SimulateOptions {
  readonly memory: number;
  readonly disk?: number;
  readonly policy: readonly PolicyName[];
  readonly diskPolicy: PolicyName;
  readonly json: boolean;
  readonly svg?: string;
}

const DEFAULT_POLICIES: readonly PolicyName[] = [DEFAULT_POLICY, 'lru'];
const BAR_WIDTH = 20;

export function addSimulate(program: Command): void {
  program
    .command('simulate')
    .description('replay access logs through the caches of a node: how large should they be?')
    .argument(
      '<log...>',
      'JSON lines, Common or Combined Log Format, or CSV time,key,size; .gz too',
    )
    .addOption(
      new Option('--memory <size>', 'largest memory to try')
        .argParser(sizeArgument)
        .default(1024 ** 3, '1g'),
    )
    .option('--disk <size>', 'largest disk to try behind that memory', sizeArgument)
    .addOption(
      new Option('--policy <names>', `of memory, with commas: ${POLICY_NAMES.join(', ')}`)
        .argParser(policyNames)
        .default(DEFAULT_POLICIES, DEFAULT_POLICIES.join(',')),
    )
    .addOption(
      new Option('--disk-policy <name>', 'of disk').choices(POLICY_NAMES).default('s3-fifo'),
    )
    .option('--json', 'as JSON', false)
    .option('--svg <file>', 'also draw the curves')
    .action(simulate);
}

async function simulate(logs: readonly string[], options: SimulateOptions): Promise<void> {
  const requests = await readLogs(logs);
  const plan = {
    memoryBytes: options.memory,
    diskBytes: options.disk,
    policies: options.policy,
    diskPolicy: options.diskPolicy,
  };
  const progress = progressBar(process.stderr, replayedRequests(requests, plan));
  const curves = hitRatioCurves(requests, plan, (done) => progress.add(done));
  progress.end();
  if (options.svg !== undefined) await save(options.svg, curvesSvg(curves));
  const { ids, keys, bytes, skipped, unreadable } = requests;
  const footprintBytes = bytes.reduce((sum, size) => sum + size, 0);
  const found = { requests: ids.length, objects: keys.length, footprintBytes, skipped, unreadable };
  print(options.json, { ...found, curves }, () =>
    [heading(requests, footprintBytes), ...curves.map(chart)].join('\n\n'),
  );
}

function heading({ ids, keys, skipped, unreadable }: Requests, footprintBytes: number): string {
  const left = [
    ...(skipped > 0 ? [`${skipped} skipped`] : []),
    ...(unreadable > 0 ? [`${unreadable} lines unreadable`] : []),
  ];
  const found = `${ids.length} requests for ${keys.length} objects, ${formatSize(footprintBytes)} in all`;
  return left.length === 0 ? found : `${found} (${left.join(', ')})`;
}

function chart({ tier, policy, points }: Curve): string {
  const isPlain = !process.stdout.isTTY;
  const cell = (ratio: number): string =>
    `${bar(ratio, BAR_WIDTH, isPlain)} ${percent(ratio).padStart(7)}`;
  return table(
    [`${tier}, ${policy}`, 'objects from cache', 'bytes from cache'],
    points.map(({ budgetBytes, objects, bytes }) => [
      formatSize(budgetBytes),
      cell(objects),
      cell(bytes),
    ]),
  );
}

async function save(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text);
  } catch (cause) {
    throw new CanopyError('invalid-input', `Cannot write ${file}: ${messageOf(cause)}`, { cause });
  }
}

function policyNames(text: string): readonly PolicyName[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.every(isPolicyName)) return names;
  throw new InvalidArgumentError(`Expected names among ${POLICY_NAMES.join(', ')}.`);
}

const isPolicyName = (name: string): name is PolicyName =>
  (POLICY_NAMES as readonly string[]).includes(name);
