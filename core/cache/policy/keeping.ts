import type { CacheSettings } from '#core/contract/cache-settings.ts';
import type { StoredState } from './decide.ts';
import { freshness, staleWindows } from './freshness.ts';

/** For so long what is stale beyond use is kept for its validator, which saves a transfer. */
const VALIDATED_MS = 7 * 24 * 3_600_000;

/** How a store is to keep an object, as its site has it. */
export interface Kept {
  readonly maxVariants: number;
  readonly reserved: boolean;
  /** When it is of no more use, ms since the epoch. */
  readonly expiresAt: number;
}

export function keptAs(
  { facts, initialAgeMs, receivedAt }: Pick<StoredState, 'facts' | 'initialAgeMs' | 'receivedAt'>,
  settings: CacheSettings,
): Kept {
  const { freshForMs } = freshness(facts, settings);
  const { whileRevalidateMs, ifErrorMs } = staleWindows(facts, settings);
  const hasValidator = facts.etag !== undefined || facts.lastModifiedMs !== undefined;
  const usefulForMs =
    freshForMs + Math.max(whileRevalidateMs, ifErrorMs) + (hasValidator ? VALIDATED_MS : 0);
  return {
    maxVariants: settings.maxVariants,
    reserved: settings.reserve,
    expiresAt: receivedAt - initialAgeMs + usefulForMs,
  };
}
