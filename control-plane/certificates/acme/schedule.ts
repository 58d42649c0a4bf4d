/** The part of its life after which a certificate is renewed. */
const RENEW_AFTER = 2 / 3;
/** Of its life: renewals of what was ordered together are not due together. */
const JITTER = 1 / 20;
const FIRST_RETRY_MS = 60_000;
/** Authorities count failures per hour. */
const LONGEST_RETRY_MS = 6 * 3_600_000;

/**
 * When a certificate is to be renewed, ms since the Unix epoch.
 * @param random from 0 to 1
 */
export function renewalAt(
  { notBefore, notAfter }: { readonly notBefore: number; readonly notAfter: number },
  random: number,
): number {
  const life = notAfter - notBefore;
  return Math.floor(notBefore + life * (RENEW_AFTER + (random - 0.5) * 2 * JITTER));
}

/** How long after so many failures in a row it is tried again, ms. @param random from 0 to 1 */
export const retryAfterMs = (failures: number, random: number): number =>
  Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** (failures - 1)) * (0.75 + random / 2);
