import { vi } from 'vitest';

/**
 * Resolves once `check` no longer throws: for what the network or another process brings, a little
 * of real time. What never comes fails at a limit that no crowded machine should meet.
 */
export const eventually = <T>(check: () => T | Promise<T>): Promise<T> =>
  vi.waitFor(check, { timeout: 60_000, interval: 10 });
