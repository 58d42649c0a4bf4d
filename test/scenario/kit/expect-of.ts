import { expect } from 'vitest';

/** `expect`, whose failure names the row of the table that it is about. */
export const expectOf =
  (row: string) =>
  <T>(value: T) =>
    // oxlint-disable-next-line vitest/valid-expect -- whoever calls it matches
    expect(value, row);
