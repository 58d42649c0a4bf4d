import { createHmac, timingSafeEqual } from 'node:crypto';
import type { RequireSignature, SigningKey } from '#core/contract/rules/guards.ts';
import { CanopyError } from '#core/errors.ts';
import { cookieValue } from '#core/http/cookies.ts';
import { withoutParameter } from '#core/http/query.ts';
import { parsePrefix } from '#core/prefix.ts';
import { networkTest } from '../conditions.ts';
import type { RequestFacts } from '../facts.ts';

/**
 * Fields of a signature, joined by `~` in any order but for `s`, which is last. `s` is the HMAC-SHA-256
 * of all before `~s=`, a line break, and, unless there is `p`, path and query without the signature.
 */
interface SignatureFields {
  /** The version, 1. */
  readonly v: string;
  /** The key's id. */
  readonly k: string;
  /** Until when it is valid, seconds since the Unix epoch. */
  readonly e: string;
  /** From when on. */
  readonly n?: string;
  /** What the path has to begin with, as base64url. */
  readonly p?: string;
  /** The client's address, or a network that it is in. */
  readonly a?: string;
  /** The host. */
  readonly h?: string;
}

const KNOWN: ReadonlySet<string> = new Set(['v', 'k', 'e', 'n', 'p', 'a', 'h']);
const SECONDS = /^\d{1,11}$/;
/** Longer ones are not looked at. */
const MAX_LENGTH = 2048;
/** Cookies of one name that are tried. */
const MAX_COOKIES = 5;

export interface SignedRequirement {
  readonly settings: RequireSignature;
  /**
   * @param nowMs since the Unix epoch
   * @throws CanopyError `signature-missing`, `signature-invalid`, `signature-expired` unless one of
   * `keys` has signed the request
   */
  check(request: RequestFacts, keys: readonly SigningKey[], nowMs: number): void;
}

export function signedRequirement(settings: RequireSignature): SignedRequirement {
  const { in: place, name, keys: ids } = settings;
  const check: SignedRequirement['check'] = (request, keys, nowMs) => {
    const usable = ids === undefined ? keys : keys.filter(({ id }) => ids.includes(id));
    const inQuery = place === 'cookie' ? undefined : request.parameter(name);
    const given =
      inQuery !== undefined || place === 'query'
        ? [inQuery].flatMap((one) => (one === undefined ? [] : [decoded(one)]))
        : (cookieValue(request.fields, name)?.split(';', MAX_COOKIES) ?? []);
    if (given.length === 0) {
      throw new CanopyError('signature-missing', `The request is not signed by ${name}`);
    }
    const failures = given.map((text) => failureOf(text, request, usable, settings, nowMs));
    const [failure] = failures;
    if (failure !== undefined && !failures.includes(undefined)) throw failure;
  };
  return { settings, check };
}

const invalid = (detail: string): CanopyError => new CanopyError('signature-invalid', detail);

function failureOf(
  text: string,
  request: RequestFacts,
  keys: readonly SigningKey[],
  { name, clockSkewSeconds }: RequireSignature,
  nowMs: number,
): CanopyError | undefined {
  const end = text.lastIndexOf('~s=');
  const signed = text.slice(0, Math.max(0, end));
  const fields = end === -1 || text.length > MAX_LENGTH ? undefined : fieldsOf(signed);
  if (fields === undefined) return invalid('The signature is malformed');
  const key = keys.find(({ id }) => id === fields.k);
  if (key === undefined) return invalid('The signature is by no key of the site');
  const target = fields.p === undefined ? withoutParameter(request.target, name) : '';
  const mac = createHmac('sha256', key.secret).update(`${signed}\n${target}`).digest();
  const given = Buffer.from(text.slice(end + '~s='.length), 'base64url');
  if (given.length !== mac.length || !timingSafeEqual(given, mac)) {
    return invalid('The signature is not that of this URL');
  }
  const nowSeconds = nowMs / 1000;
  if (nowSeconds > Number(fields.e) + clockSkewSeconds) {
    return new CanopyError('signature-expired', 'The signature has expired');
  }
  if (fields.n !== undefined && nowSeconds < Number(fields.n) - clockSkewSeconds) {
    return invalid('The signature is not valid yet');
  }
  return failureOfPlace(fields, request);
}

function failureOfPlace(
  { p, a, h }: SignatureFields,
  { path, address, host }: RequestFacts,
): CanopyError | undefined {
  if (p !== undefined && !path.startsWith(Buffer.from(p, 'base64url').toString('latin1'))) {
    return invalid('The signature is for another path');
  }
  if (h !== undefined && h !== host) return invalid('The signature is for another host');
  if (a !== undefined && !networkTest([a.includes('/') ? a : `${a}/${lengthOf(a)}`])(address)) {
    return invalid('The signature is for another address');
  }
  return undefined;
}

const lengthOf = (address: string): number => (address.includes(':') ? 128 : 32);

function fieldsOf(text: string): SignatureFields | undefined {
  const fields = new Map<string, string>();
  for (const field of text.split('~')) {
    const name = field.slice(0, 1);
    if (field[1] !== '=' || !KNOWN.has(name) || fields.has(name)) return undefined;
    fields.set(name, field.slice(2));
  }
  const found: Partial<SignatureFields> = Object.fromEntries(fields);
  const { v, k, e, n, a } = found;
  if (v !== '1' || k === undefined || e === undefined || !SECONDS.test(e)) return undefined;
  if (n !== undefined && !SECONDS.test(n)) return undefined;
  if (a !== undefined && parsePrefix(a) === undefined) return undefined;
  return { ...found, v, k, e };
}

/** Some clients encode what may stand in a query as it is. */
function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
