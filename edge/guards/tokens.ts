import {
  createLocalJWKSet,
  errors,
  type JWK,
  jwtVerify,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
} from 'jose';
import { LRUCache } from 'lru-cache';
import type { ServedSite } from '#core/cache/served-site.ts';
import type { Clock } from '#core/clock.ts';
import { CanopyError, type ErrorCode, Refusal } from '#core/errors.ts';
import type { RequestFacts } from '#core/rules/facts.ts';
import type { Claims, TokenRequirement } from '#core/rules/guards/token.ts';
import { Jwks, type KeySet } from './jwks.ts';

/** Longer ones are not looked at. */
const MAX_TOKEN_LENGTH = 8192;
/** Characters of tokens that were found valid, which are remembered by each requirement. */
const REMEMBERED = 4 * 1024 * 1024;
/** Requirements whose tokens are remembered, and issuers whose keys are. */
const MAX_KEPT = 1000;
/** Checks of signatures under way in a thread. */
const MAX_CHECKS = 256;

/** What a token that was found valid says. */
interface Valid {
  readonly claims: Claims;
  /** Since the Unix epoch, seconds. */
  readonly expires: number;
  /** Of the keys that it was checked by. */
  readonly generation: number;
}

/** Checks the tokens (JWT, RFC 7519) of requests in one thread; one that has been checked is known again at once. */
export class Tokens {
  readonly #clock: Clock;
  readonly #valid = new LRUCache<string, LRUCache<string, Valid>>({ max: MAX_KEPT });
  readonly #jwks = new LRUCache<string, Jwks>({ max: MAX_KEPT });
  #checks = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Takes note of the claims of a request's token, at once where the token is known.
   * @throws CanopyError `token-missing`, `token-invalid`, `token-expired`, `token-insufficient`,
   * `keys-unavailable`, `unavailable`
   */
  require(
    requirement: TokenRequirement,
    request: RequestFacts,
    site: ServedSite,
  ): void | Promise<void> {
    const token = requirement.tokenOf(request);
    if (token === undefined || token === '') {
      throw refusal('token-missing', 'The request has no token', site, '');
    }
    const known = this.#known(requirement, site).get(token);
    if (known === undefined || known.generation !== this.#generation(requirement)) {
      return this.#check(requirement, token, site).then((claims) => {
        request.claims = claims;
      });
    }
    const skew = requirement.settings.clockSkewSeconds;
    if (this.#clock.now() / 1000 >= known.expires + skew) throw expired(site);
    request.claims = known.claims;
  }

  /** Secrets that are withdrawn take along what was checked by them. */
  #known({ id }: TokenRequirement, site: ServedSite): LRUCache<string, Valid> {
    const key = `${site.name}\n${id}\n${site.signingKeys.map((one) => one.secret).join('\n')}`;
    let known = this.#valid.get(key);
    if (known === undefined) {
      known = new LRUCache({ maxSize: REMEMBERED, sizeCalculation: (_, token) => token.length });
      this.#valid.set(key, known);
    }
    return known;
  }

  #generation({ settings: { jwks } }: TokenRequirement): number {
    if (jwks === undefined) return 0;
    const keys = this.#issuer(jwks).keys();
    return keys === undefined || keys instanceof Promise ? 0 : keys.generation;
  }

  #issuer(url: string): Jwks {
    let jwks = this.#jwks.get(url);
    if (jwks === undefined) this.#jwks.set(url, (jwks = new Jwks(url, this.#clock)));
    return jwks;
  }

  async #check(requirement: TokenRequirement, token: string, site: ServedSite): Promise<Claims> {
    if (token.length > MAX_TOKEN_LENGTH) throw invalid('The token is too long', site);
    if (this.#checks >= MAX_CHECKS) {
      throw new CanopyError('unavailable', 'Too many tokens are being checked');
    }
    this.#checks++;
    try {
      const valid = await this.#verify(requirement, token, site);
      this.#known(requirement, site).set(token, valid);
      return valid.claims;
    } finally {
      this.#checks--;
    }
  }

  async #verify(requirement: TokenRequirement, token: string, site: ServedSite): Promise<Valid> {
    const { jwks, keys } = requirement.settings;
    const issuer = jwks === undefined ? undefined : this.#issuer(jwks);
    const known = await issuer?.keys();
    const verify = (set: KeySet | undefined): Promise<Valid> =>
      this.#verifyBy(requirement, token, site, {
        keyFor: firstOf(ownKeys(keys), set?.keyFor ?? missing(issuer?.problem)),
        generation: set?.generation ?? 0,
      });
    try {
      return await verify(known);
    } catch (error) {
      if (!(error instanceof UnknownKey)) throw error;
      const newer = await issuer?.newer();
      if (newer?.generation === known?.generation) throw error.refusal;
      return verify(newer);
    }
  }

  async #verifyBy(
    requirement: TokenRequirement,
    token: string,
    site: ServedSite,
    { keyFor, generation }: KeySet,
  ): Promise<Valid> {
    const { issuer, audience, algorithms, clockSkewSeconds, scopes } = requirement.settings;
    const options = {
      algorithms,
      ...(issuer !== undefined && { issuer }),
      ...(audience !== undefined && { audience }),
      clockTolerance: clockSkewSeconds,
      currentDate: new Date(this.#clock.now()),
      // One without an end could never be withdrawn.
      requiredClaims: ['exp'],
    };
    const anyKey: JWTVerifyGetKey = (header, jws) =>
      header.alg.startsWith('HS') ? sharedKey(site, header.kid) : keyFor(header, jws);
    const { payload } = await verified(token, anyKey, options).catch((error: unknown) => {
      throw failure(error, site);
    });
    const lacked = requirement.lacking(payload);
    if (lacked !== undefined) {
      const wanted = scopes.length > 0 ? `, scope="${scopes.join(' ')}"` : '';
      const error = `error="insufficient_scope"${wanted}`;
      throw refusal('token-insufficient', `The token lacks the claim ${lacked}`, site, error);
    }
    return { claims: payload, expires: payload.exp ?? 0, generation };
  }
}

/** By public keys that stand in the settings. */
const ownKeys = (keys: readonly object[] = []): JWTVerifyGetKey =>
  createLocalJWKSet({ keys: keys as JWK[] });

/** An issuer of whom no keys are known. */
const missing =
  (problem: string | undefined): JWTVerifyGetKey =>
  () => {
    if (problem === undefined) throw new errors.JWKSNoMatchingKey();
    throw new CanopyError('keys-unavailable', problem);
  };

const firstOf =
  (one: JWTVerifyGetKey, other: JWTVerifyGetKey): JWTVerifyGetKey =>
  async (...asked) => {
    try {
      return await one(...asked);
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey) return other(...asked);
      throw error;
    }
  };

/** A token that does not tell by which of several keys is tried by each. */
async function verified(token: string, keyFor: JWTVerifyGetKey, options: JWTVerifyOptions) {
  try {
    return await jwtVerify(token, keyFor, options);
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    for await (const key of error) {
      try {
        return await jwtVerify(token, key, options);
      } catch (problem) {
        if (!(problem instanceof errors.JWSSignatureVerificationFailed)) throw problem;
      }
    }
    throw new errors.JWSSignatureVerificationFailed();
  }
}

/** A secret is never a public key: which of the two a token is checked by, its algorithm says. */
function sharedKey(site: ServedSite, id: string | undefined): Uint8Array {
  const key = site.signingKeys.find((one) => one.id === id);
  if (key === undefined) throw new errors.JWKSNoMatchingKey();
  return Buffer.from(key.secret);
}

/** The issuer may have a new key. */
class UnknownKey extends Error {
  override readonly name = 'UnknownKey';
  readonly refusal: CanopyError;

  constructor(refused: CanopyError) {
    super(refused.message);
    this.refusal = refused;
  }
}

function failure(error: unknown, site: ServedSite): Error {
  if (error instanceof CanopyError) return error;
  if (error instanceof errors.JWTExpired) return expired(site);
  if (error instanceof errors.JWKSNoMatchingKey) {
    return new UnknownKey(invalid('The token is by no key that is known', site));
  }
  if (error instanceof errors.JWTClaimValidationFailed) {
    return invalid(`The token has not the right ${error.claim}`, site);
  }
  if (error instanceof errors.JOSEError) return invalid('The token is not valid', site);
  return error instanceof Error ? error : new Error(String(error));
}

const expired = (site: ServedSite): Refusal =>
  refusal(
    'token-expired',
    'The token has expired',
    site,
    'error="invalid_token", error_description="The token has expired"',
  );

const invalid = (detail: string, site: ServedSite): Refusal =>
  refusal('token-invalid', detail, site, 'error="invalid_token"');

/** RFC 6750 §3; one without a token is told no error. */
function refusal(code: ErrorCode, detail: string, { name }: ServedSite, error: string): Refusal {
  const challenge = `Bearer realm="${name}"${error === '' ? '' : `, ${error}`}`;
  return new Refusal(code, detail, ['WWW-Authenticate', challenge]);
}
