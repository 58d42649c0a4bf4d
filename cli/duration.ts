import { InvalidArgumentError } from 'commander';

const SECONDS = { s: 1, m: 60, h: 3_600, d: 86_400 } as const;

/** `90d`, `12h`, `30m`, `45s` in seconds. */
export function duration(text: string): number {
  const [, number, unit] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  if (number === undefined)
    throw new InvalidArgumentError('Expected such as 45s, 30m, 12h or 90d.');
  return Number(number) * SECONDS[unit as keyof typeof SECONDS];
}
