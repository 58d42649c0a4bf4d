import { availableParallelism, cpus, totalmem } from 'node:os';
import type { Benchmark, Result } from './benchmark.ts';

export interface Section {
  readonly benchmark: Benchmark;
  readonly results: readonly Result[];
}

/** What `bench/RESULTS.md` says. @param date of the run, `2026-01-31` */
export function report(sections: readonly Section[], command: string, date: string): string {
  const machine = `${availableParallelism()} cores (${cpus()[0]?.model.trim() ?? 'unknown'}), ${Math.round(totalmem() / 1024 ** 3)} GiB, Node ${process.versions.node}`;
  return [
    '# Results',
    `Made by \`${command}\` on ${date}, on ${machine}. Ratios count, absolute figures are this machine's.`,
    ...sections.flatMap(({ benchmark, results }) => [
      `## ${benchmark.name}`,
      benchmark.about,
      ...results.map(markdownTable),
    ]),
  ]
    .join('\n\n')
    .concat('\n');
}

const markdownTable = ({ columns, rows }: Result): string =>
  [columns, columns.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
