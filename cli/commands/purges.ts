import { type Command, InvalidArgumentError } from 'commander';
import { namesOf } from '#core/contract/purge.ts';
import type { Ban, ListedPurge } from '../api-types.ts';
import { connect, type ConnectionOptions, withConnection } from '../connection.ts';
import { print, table } from '../output.ts';

interface PurgesOptions extends ConnectionOptions {
  readonly limit: number;
  readonly before?: number;
  readonly bans: boolean;
}

export function addPurges(program: Command): void {
  withConnection(
    program
      .command('purges')
      .description('the latest purges: what, who and why')
      .option('--limit <n>', 'so many, 1 to 1000', whole, 20)
      .option('--before <sequence>', 'those before a sequence number', whole)
      .option('--bans', 'what is banned now, instead', false),
  ).action(async (options: PurgesOptions) => {
    const api = await connect(options);
    if (options.bans) {
      const bans = await api.bans();
      print(options.json, bans, () => table(['id', 'kind', 'what'], bans.map(banRow)));
      return;
    }
    const purges = await api.purges(options.limit, options.before);
    print(options.json, purges, () => table(HEADINGS, purges.map(row)));
  });
}

const HEADINGS = ['at', 'sequence', 'id', 'mode', 'what', 'status', 'by', 'reason'];

const row = (purge: ListedPurge): readonly (string | number)[] => [
  new Date(purge.createdAt).toISOString(),
  Math.max(...purge.sequences),
  purge.id,
  purge.mode,
  whatOf(purge),
  purge.status,
  purge.by ?? '-',
  purge.reason ?? '-',
];

function whatOf({ kind, names, first }: ListedPurge): string {
  if (first === undefined) return kind;
  return names > 1 ? `${kind}: ${first} and ${names - 1} more` : `${kind}: ${first}`;
}

const banRow = ({ id, target }: Ban): readonly string[] => [
  id,
  target.kind,
  namesOf(target).join(' '),
];

export function whole(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Expected a whole number.');
}
