import { createHash, timingSafeEqual } from 'node:crypto';
import type { Network } from '#core/contract/event.ts';

/**
 * Whether `presented` proves that a node of this network asks. While the key is being rotated the
 * one before and the one after are taken too, for nodes hear of it one after another. Takes a time
 * that tells nothing of the keys.
 */
export function isTierKey(
  presented: string | undefined,
  { tierKey, nextTierKey, previousTierKey }: Network,
): boolean {
  return [tierKey, nextTierKey, previousTierKey]
    .map((key) => isSecret(presented, key))
    .includes(true);
}

/** Compares in a time that tells nothing of the secret, nor of its length. */
export function isSecret(presented: string | undefined, secret: string | undefined): boolean {
  if (presented === undefined || secret === undefined) return false;
  return timingSafeEqual(sha256(presented), sha256(secret));
}

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();
