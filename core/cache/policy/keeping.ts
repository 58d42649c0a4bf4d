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

/** Forms in which each variant may be kept beside itself. */
const MOST_FORMS = 16;

/** What decides whether a variant is kept beside others. */
interface Beside {
  readonly selector: string;
  readonly contentId?: string | undefined;
  readonly made?: { readonly from: string; readonly form: string } | undefined;
}

/**
 * Of the variants of one key, those that stay under the cap. What was made of others counts apart, so
 * that it pushes none of them out, and goes where its source has other content by now.
 * @param variants latest first; the first stays
 */
export function withinCap<V extends Beside>(
  variants: readonly V[],
  maxVariants: number,
): readonly V[] {
  let sources = 0;
  let forms = 0;
  return variants.filter((variant, i) => {
    const { made } = variant;
    if (made === undefined) return sources++ < maxVariants || i === 0;
    if (i > 0 && variants.some((other) => isOutdatedBy(other, variant.selector, made)))
      return false;
    return forms++ < maxVariants * MOST_FORMS;
  });
}

const isOutdatedBy = (
  source: Beside,
  selector: string,
  { from, form }: NonNullable<Beside['made']>,
): boolean =>
  source.made === undefined &&
  source.contentId !== from &&
  selector === madeSelector(source.selector, form);

/** The selector of what was made of a source, which no request has. */
export const madeSelector = (source: string, form: string): string => `${source}\n:${form}`;
