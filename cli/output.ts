import { messageOf, CanopyError } from '#core/errors.ts';

/** Rows in aligned columns under upper-case headings; two spaces apart, without trailing space. */
export function table(
  headings: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): string {
  const lines = [
    headings.map((heading) => heading.toUpperCase()),
    ...rows.map((r) => r.map(String)),
  ];
  const widths = headings.map((_, column) =>
    Math.max(...lines.map((line) => (line[column] ?? '').length)),
  );
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** A time in ms since the Unix epoch, for people. */
export const time = (ms: number | null): string =>
  ms === null ? '-' : new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');

/** What a command found: as JSON for programs, else in the words of `people`. */
export function print(asJson: boolean, value: unknown, people: () => string): void {
  console.log(asJson ? JSON.stringify(value, undefined, 2) : people());
}

/** The one line that a failed command leaves on stderr. */
export function errorLine(error: unknown): string {
  const message = messageOf(error).replaceAll(/\s*\n\s*/g, ' ');
  return error instanceof CanopyError ? `canopy: ${message} (${error.code})` : `canopy: ${message}`;
}
