/** Whose fault an error is: the one who asked, the one we asked, or Canopy itself. */
export type Side = 'client' | 'upstream' | 'canopy';

interface ErrorKind {
  readonly status: number;
  readonly side: Side;
  /** Whether the same request may be sent again without doing harm. */
  readonly retrySafe: boolean;
  readonly title: string;
}

const kind = (status: number, side: Side, retrySafe: boolean, title: string): ErrorKind => ({
  status,
  side,
  retrySafe,
  title,
});

/** Every error that Canopy reports, by its stable code. Codes are API: never renamed, only added. */
export const ERRORS = {
  'invalid-request': kind(400, 'client', false, 'The request is malformed'),
  'invalid-image-parameters': kind(400, 'client', false, 'The image cannot be made as asked'),
  'digest-mismatch': kind(400, 'client', true, 'The content is not what its digest says'),
  'invalid-input': kind(422, 'client', false, 'The input does not fit its schema'),
  unauthenticated: kind(401, 'client', false, 'A valid token or credential is required'),
  forbidden: kind(403, 'client', false, 'The token lacks the scope for this'),
  denied: kind(403, 'client', false, 'The site does not serve this request'),
  'hotlink-denied': kind(403, 'client', false, 'The page may not embed this'),
  'signature-missing': kind(403, 'client', false, 'A signed URL or cookie is required'),
  'signature-invalid': kind(403, 'client', false, 'The signature does not stand for this request'),
  'signature-expired': kind(403, 'client', false, 'The signature has expired'),
  'token-missing': kind(401, 'client', false, 'A token of the site is required'),
  'token-invalid': kind(401, 'client', false, 'The token is not accepted'),
  'token-expired': kind(401, 'client', false, 'The token has expired'),
  'token-insufficient': kind(403, 'client', false, 'The token does not allow this'),
  'not-found': kind(404, 'client', false, 'There is no such thing'),
  'method-not-allowed': kind(405, 'client', false, 'The method is not allowed here'),
  'request-timeout': kind(408, 'client', true, 'The request did not arrive in time'),
  conflict: kind(409, 'client', false, 'The request conflicts with what is there'),
  'contract-unsupported': kind(
    409,
    'client',
    false,
    'A node and its control plane are too many versions apart',
  ),
  'content-missing': kind(409, 'client', false, 'Content that is referred to is not there'),
  'precondition-failed': kind(412, 'client', false, 'The precondition does not hold'),
  'content-too-large': kind(413, 'client', false, 'The content is larger than allowed'),
  'uri-too-long': kind(414, 'client', false, 'The request target is longer than allowed'),
  'expectation-failed': kind(417, 'client', false, 'The expectation cannot be met'),
  'client-certificate-required': kind(
    403,
    'client',
    false,
    'A certificate of the client is required',
  ),
  'unknown-host': kind(421, 'client', false, 'No site has this host'),
  'idempotency-mismatch': kind(
    422,
    'client',
    false,
    'The idempotency key stands for another request',
  ),
  'too-many-requests': kind(429, 'client', true, 'Too many requests'),
  'too-many-at-once': kind(429, 'client', true, 'Too many requests under way'),
  'too-many-lookups': kind(429, 'client', true, 'Too many requests for what is not there'),
  'header-too-large': kind(431, 'client', false, 'The header section is larger than allowed'),
  'internal-error': kind(500, 'canopy', false, 'Canopy failed'),
  'not-implemented': kind(501, 'client', false, 'The transfer coding is not understood'),
  'function-failed': kind(500, 'upstream', false, "The site's function failed"),
  'upstream-invalid': kind(502, 'upstream', true, 'A parent sent an invalid answer'),
  'upstream-unreachable': kind(502, 'upstream', true, 'No parent could be reached'),
  'upstream-busy': kind(503, 'upstream', true, 'Parents have as much to do as they may be given'),
  unavailable: kind(503, 'canopy', true, 'Canopy cannot take this request now'),
  'keys-unavailable': kind(503, 'upstream', true, 'The keys of tokens cannot be fetched'),
  'upstream-timeout': kind(504, 'upstream', true, 'No parent answered in time'),
  'only-if-cached': kind(504, 'client', true, 'Nothing stored can satisfy only-if-cached'),
  'loop-detected': kind(508, 'client', false, 'The request has passed this node before'),
  'storage-refused': kind(500, 'canopy', false, "The origin's storage refuses its settings"),
  'storage-unavailable': kind(503, 'canopy', true, "The origin's storage cannot take this now"),
  'quota-exceeded': kind(507, 'client', false, 'The site may not take up more room'),
  'insufficient-storage': kind(507, 'canopy', true, 'There is no room left to store this'),
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERRORS;

/** An error with a stable code; `detail` says the action, the reason and the value received. */
export class CanopyError extends Error {
  override readonly name = 'CanopyError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, detail: string, options?: { cause?: unknown }) {
    super(detail, options);
    this.code = code;
  }

  get status(): number {
    return ERRORS[this.code].status;
  }
  get side(): Side {
    return ERRORS[this.code].side;
  }
  get retrySafe(): boolean {
    return ERRORS[this.code].retrySafe;
  }
  get title(): string {
    return ERRORS[this.code].title;
  }
}

/** The request's method is not one of `allowed`, which `Allow` has to say (RFC 9110 §15.5.6). */
export class MethodNotAllowed extends CanopyError {
  readonly allowed: string;

  constructor(method: string, allowed: string) {
    super('method-not-allowed', `Expected one of ${allowed}, received ${method}`);
    this.allowed = allowed;
  }
}

/** A refusal that says more in fields of its answer. */
export class Refusal extends CanopyError {
  /** Name, value, name, value… */
  readonly fields: readonly string[];

  constructor(code: ErrorCode, detail: string, fields: readonly string[]) {
    super(code, detail);
    this.fields = fields;
  }
}

/** More was asked than the rate allows: `Retry-After` has to say when it will be there. */
export class RateExceeded extends Refusal {
  readonly retryAfterSeconds: number;

  constructor(detail: string, retryAfterMs: number) {
    const seconds = Math.max(1, Math.ceil(retryAfterMs / 1000));
    super('too-many-requests', detail, ['Retry-After', String(seconds)]);
    this.retryAfterSeconds = seconds;
  }
}

/** The one line of an unknown thrown value that is fit for people. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') {
    return error.errors.map(messageOf).join('; ');
  }
  return error instanceof Error ? error.message : String(error);
}
