import { parseDictionary } from 'structured-headers';
import { CanopyError } from '#core/errors.ts';
import { type Fields, fieldValue } from './fields.ts';

/** Where content has no coding, the digests of the content and of the representation are the same. */
const DIGEST_FIELDS = ['repr-digest', 'content-digest'] as const;

/**
 * The SHA-256 that a message announces for its content (RFC 9530 §2 and §3), in hexadecimal.
 * Other algorithms are ignored, as §2 allows.
 * @throws CanopyError `invalid-request` if it is malformed, or there are two
 */
export function announcedDigest(fields: Fields): string | undefined {
  const digests = DIGEST_FIELDS.flatMap((name) => {
    const value = fieldValue(fields, name);
    return value === undefined ? [] : (sha256Of(name, value) ?? []);
  });
  if (new Set(digests).size <= 1) return digests[0];
  throw new CanopyError('invalid-request', `Two digests of one content: ${digests.join(', ')}`);
}

function sha256Of(name: string, value: string): string | undefined {
  const malformed = (): CanopyError =>
    new CanopyError('invalid-request', `Expected ${name}: sha-256=:BASE64:, received ${value}`);
  let digest: unknown;
  try {
    digest = parseDictionary(value).get('sha-256')?.[0];
  } catch {
    throw malformed();
  }
  if (digest === undefined) return undefined;
  if (!(digest instanceof ArrayBuffer) || digest.byteLength !== 32) throw malformed();
  return Buffer.from(digest).toString('hex');
}
