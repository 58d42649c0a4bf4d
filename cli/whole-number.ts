import { z } from 'zod';

/** A setting that is a whole number, as text or as such. */
export const wholeNumber = (least: number, most: number) =>
  z
    .union([z.int(), z.string().regex(/^\d+$/).transform(Number)])
    .refine((number) => number >= least && number <= most, {
      message: `a whole number from ${least} to ${most}`,
    });
