import { type ErrorCode, CanopyError, messageOf } from '#core/errors.ts';

/** What a service says of itself, and not of the request. */
const BY_NAME: Readonly<Record<string, ErrorCode>> = {
  QuotaExceeded: 'insufficient-storage',
  XMinioStorageFull: 'insufficient-storage',
  EntityTooLarge: 'content-too-large',
  RequestTimeout: 'storage-unavailable',
  RequestTimeTooSkewed: 'storage-unavailable',
  OperationAborted: 'storage-unavailable',
  CredentialsProviderError: 'storage-refused',
};

/**
 * What failed when `place` was asked, by a code that says whether asking again can help. Keeps
 * nothing of the request, which has credentials in it.
 */
export function bucketError(error: unknown, place: string): CanopyError {
  if (error instanceof CanopyError) return error;
  const { name, $metadata } = error as {
    readonly name?: string;
    readonly $metadata?: { readonly httpStatusCode?: number };
  };
  const detail = `${place} failed: ${name ?? 'Error'}: ${messageOf(error)}`;
  return new CanopyError(BY_NAME[name ?? ''] ?? codeOf($metadata?.httpStatusCode), detail);
}

/** @param status of the answer; `undefined`: there was none */
function codeOf(status: number | undefined): ErrorCode {
  if (status === 507) return 'insufficient-storage';
  return status === undefined || status >= 500 || status === 429
    ? 'storage-unavailable'
    : 'storage-refused';
}
