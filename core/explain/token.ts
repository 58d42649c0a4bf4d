import { type ExplainToken, explainTokenSchema } from '#core/contract/explain.ts';
import { CanopyError } from '#core/errors.ts';
import { type SealKeys, seal, unseal } from '#core/latency/seal.ts';

/**
 * The request field by which a client asks to be told what becomes of its request. Reserved for the
 * network as all of its prefix, so that it is neither passed on nor looked at by the hit lane.
 */
export const EXPLAIN_FIELD = 'Canopy-Explain';

/** The response field in which each tier on the way explains itself, one line each. */
export const EXPLAINED_FIELD = 'Canopy-Explained';

const KIND = 'explain token';

export const sealExplainToken = (keys: SealKeys, token: ExplainToken): string =>
  seal(keys, KIND, token);

/**
 * Whether a client may see explanations of its requests to a site.
 * @param now ms since the Unix epoch
 */
export function mayExplain(keys: SealKeys, text: string, site: string, now: number): boolean {
  try {
    const token = unseal(keys, KIND, text, explainTokenSchema);
    return token.site === site && token.until > now;
  } catch (error) {
    if (error instanceof CanopyError) return false;
    throw error;
  }
}
