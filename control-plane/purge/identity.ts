import { createHash } from 'node:crypto';
import { CanopyError } from '#core/errors.ts';
import type { IdentifiedRequest, PurgeRecord } from '../state/store.ts';

/** Visible ASCII, in quotes or without (draft-ietf-httpapi-idempotency-key-header). */
const KEY = /^(?:"([\x20\x21\x23-\x7e]{1,255})"|([\x21\x23-\x7e]{1,255}))$/;

/**
 * What tells a request from others by its `Idempotency-Key`; `undefined` without one.
 * @param by the name of the token that asks: keys of one are nothing to another
 * @throws CanopyError `invalid-request`
 */
export function identify(
  field: string | undefined,
  by: string,
  request: object,
): IdentifiedRequest | undefined {
  if (field === undefined) return undefined;
  const [, quoted, plain] = KEY.exec(field.trim()) ?? [];
  const key = quoted ?? plain;
  if (key === undefined) {
    throw new CanopyError(
      'invalid-request',
      'Idempotency-Key: expected 1 to 255 characters of ASCII',
    );
  }
  return { key: digest(`${by} ${key}`), digest: digest(JSON.stringify(request)) };
}

/** @throws CanopyError `idempotency-mismatch` where the purge was asked for in other words */
export function assertSame(purge: PurgeRecord, request: IdentifiedRequest): void {
  if (purge.request?.digest === request.digest) return;
  throw new CanopyError(
    'idempotency-mismatch',
    `The Idempotency-Key was used for another request, purge ${purge.id}`,
  );
}

const digest = (text: string): string => createHash('sha256').update(text).digest('base64url');
