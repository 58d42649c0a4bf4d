const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** `1.5 MiB`. */
export function bytesText(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), UNITS.length - 1);
  const value = bytes / 1024 ** power;
  return `${power === 0 || value >= 100 ? value.toFixed(0) : value.toFixed(1)} ${UNITS[power]}`;
}

const number = new Intl.NumberFormat('en', { maximumFractionDigits: 1, notation: 'compact' });
/** `12.3K`. */
export const countText = (count: number): string => number.format(count);

/** `93.4 %`. @param part from 0 to 1; `null` where there was nothing to have a part of */
export const shareText = (part: number | null): string =>
  part === null || Number.isNaN(part) ? '–' : `${(part * 100).toFixed(1)} %`;

/** `0.42 ms`, `1.3 s`. */
export function durationText(ms: number | null): string {
  if (ms === null) return '–';
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  return ms >= 10 ? `${ms.toFixed(0)} ms` : `${ms.toFixed(2)} ms`;
}

const SPANS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
] as const;

/** `3 min ago`, `in 2 d`. @param at ms since the epoch */
export function whenText(at: number, now = Date.now()): string {
  const away = Math.abs(at - now);
  const [unit, ms] = SPANS.find(([, span]) => away >= span) ?? ['s', 1000];
  const text = `${Math.round(away / ms)} ${unit}`;
  return at > now ? `in ${text}` : `${text} ago`;
}

const time = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'medium' });
/** A moment in the reader's time zone. */
export const momentText = (at: number): string => time.format(at);
