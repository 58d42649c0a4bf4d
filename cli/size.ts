import { InvalidArgumentError } from 'commander';
import { z } from 'zod';

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  t: 1024 ** 4,
};

/** Bytes of `256m`, `1.5GiB` or `1048576` (units are powers of 1024, in any case); `undefined` if it is no size. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?$/i.exec(text.trim());
  if (match === null) return undefined;
  const bytes = Math.floor(Number(match[1]) * (UNITS[(match[2] ?? '').toLowerCase()] ?? 1));
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

const SMALLEST_BYTES = 1024 ** 2;

/** A size as people write it, or a number of bytes; at least 1 MiB. */
export const sizeSchema = z
  .union([z.string(), z.number()])
  .transform((size) => (typeof size === 'string' ? parseSize(size) : size))
  .refine(
    (bytes): bytes is number => Number.isSafeInteger(bytes) && Number(bytes) >= SMALLEST_BYTES,
    {
      message: 'a size of at least 1m, such as 256m or 1.5g',
    },
  );

/** A size as the argument of an option. */
export function sizeArgument(text: string): number {
  const result = sizeSchema.safeParse(text);
  if (result.success) return result.data;
  throw new InvalidArgumentError('Expected a size of at least 1m, such as 256m or 1.5g.');
}

/** `268435456` as `256 MiB`, for people. */
export function formatSize(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), units.length - 1);
  const value = bytes / 1024 ** power;
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${units[power] ?? 'B'}`;
}
