import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import type { Benchmark, Result } from './benchmark.ts';

const HEADING = '# Results\n\nRatios count; absolute figures are of the machine that is named.\n';

/** What `bench/RESULTS.md` says of one run of a benchmark. @param date `2026-01-31` */
export function section(
  { name, about }: Benchmark,
  results: readonly Result[],
  command: string,
  date: string,
): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown';
  const memory = `${Math.round(totalmem() / 1024 ** 3)} GiB`;
  const machine = `${availableParallelism()} cores (${model}), ${memory}, Node ${process.versions.node}`;
  const [load = 0] = loadavg();
  const made = `Made by \`${command}\` on ${date}, on ${machine}, with a load of ${load.toFixed(1)} at its end.`;
  return `## ${name}\n\n${[about, made, ...results.map(markdownTable)].join('\n\n')}\n`;
}

/** The report with `section` in place of what it says of the same benchmark, or at its end. */
export function withSection(report: string, added: string): string {
  const sections = report.split(/^(?=## )/m).filter((text) => text.startsWith('## '));
  const [title] = added.split('\n');
  const at = sections.findIndex((text) => text.startsWith(`${title}\n`));
  const others = at === -1 ? [...sections, added] : sections.with(at, added);
  return [HEADING, ...others.map((text) => text.trimEnd().concat('\n'))].join('\n');
}

const markdownTable = ({ title, columns, rows }: Result): string =>
  [
    `### ${title}\n`,
    ...[columns, columns.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`),
  ].join('\n');
