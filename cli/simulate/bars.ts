const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** `fraction` of 1 as a bar of at most `width` characters: eighths of blocks, or plain `#`. */
export function bar(fraction: number, width: number, isPlain: boolean): string {
  if (isPlain) return '#'.repeat(Math.round(fraction * width)).padEnd(width, '.');
  const eighths = Math.round(fraction * width * 8);
  return ('█'.repeat(eighths >> 3) + (EIGHTHS[eighths & 7] ?? '')).padEnd(width);
}

export const percent = (fraction: number): string => `${(100 * fraction).toFixed(1)} %`;

/** A bar on a terminal that fills as work is done; nothing where `stream` is none. */
export function progressBar(
  stream: { isTTY?: boolean; write(text: string): unknown },
  total: number,
): { add(done: number): void; end(): void } {
  let done = 0;
  let shown = '';
  const show = (text: string): void => {
    if (stream.isTTY !== true || text === shown) return;
    shown = text;
    stream.write(`\r\u001B[K${text}`);
  };
  return {
    add(more) {
      done += more;
      const fraction = total === 0 ? 1 : done / total;
      show(`${bar(fraction, 30, false)} ${Math.floor(100 * fraction)} %`);
    },
    end: () => show(''),
  };
}
