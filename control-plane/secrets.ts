import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** 256 random bits, fit for a header field and an environment variable. */
export const newSecret = (): string => randomBytes(32).toString('base64url');

/** What is stored in place of a secret: its SHA-256. Secrets are random, so they need no salt. */
export const digestOf = (secret: string): Buffer => createHash('sha256').update(secret).digest();

/** Compares digests in constant time. */
export const sameDigest = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && timingSafeEqual(a, b);
