import { SingleBar } from 'cli-progress';
import { formatSize } from './size.ts';

/** How far long work is. */
export interface Progress {
  /** @param total left out: as before */
  update(done: number, total?: number): void;
  stop(): void;
}

const UNITS = { nodes: String, objects: String, steps: String, bytes: formatSize } as const;

/** A bar on stderr, `undefined` where no terminal is there. It goes when it is stopped. */
export function progressBar(what: string, unit: keyof typeof UNITS): Progress | undefined {
  if (!process.stderr.isTTY) return undefined;
  const format = UNITS[unit];
  const bar = new SingleBar({
    stream: process.stderr,
    format: `${what} {bar} {value}/{total}`,
    formatValue: (value, _, type) =>
      type === 'value' || type === 'total' ? format(value) : String(value),
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 30,
    clearOnComplete: true,
    hideCursor: true,
  });
  let started = false;
  return {
    update: (done, total) => {
      if (!started) bar.start(total ?? 0, done);
      else if (total !== undefined) bar.setTotal(total);
      started = true;
      bar.update(done);
    },
    stop: () => bar.stop(),
  };
}
