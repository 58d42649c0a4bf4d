import { type Command, InvalidArgumentError } from 'commander';
import type { AuditEntry } from '../api-types.ts';
import { connect, type ConnectionOptions, withConnection } from '../connection.ts';
import { print, table, time } from '../output.ts';

interface AuditOptions extends ConnectionOptions {
  readonly last: number;
}

export function addAudit(program: Command): void {
  withConnection(
    program
      .command('audit')
      .description('who changed what, latest first')
      .option('--last <n>', 'how many entries', count, 50),
  ).action(async (options: AuditOptions) => {
    const entries = await (await connect(options)).audit(options.last);
    print(options.json, entries, () => table(HEADINGS, entries.map(row)));
  });
}

const HEADINGS = ['at', 'token', 'address', 'call', 'status', 'code', 'sequences', 'request'];

const row = (entry: AuditEntry): readonly (string | number)[] => [
  time(entry.at),
  entry.token ?? '-',
  entry.address,
  `${entry.method} ${entry.path}`,
  entry.status,
  entry.code ?? '-',
  entry.sequences.length === 0 ? '-' : entry.sequences.join(' '),
  entry.id,
];

function count(text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 1 && number <= 100_000) return number;
  throw new InvalidArgumentError('Expected a whole number from 1 to 100000.');
}
