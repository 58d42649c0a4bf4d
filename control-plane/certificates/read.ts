import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { createSecureContext, rootCertificates } from 'node:tls';
import { certifiedNameSchema } from '#core/contract/certificate.ts';
import { type InputIssue, InvalidInput } from '#core/contract/validate.ts';
import { messageOf } from '#core/errors.ts';

/** A certificate as somebody gives it, both in PEM. */
export interface GivenCertificate {
  /** The certificate, then those between it and its authority. */
  readonly chain: string;
  readonly key: string;
  /** Its authority need not be one that browsers know. */
  readonly privateAuthority: boolean;
}

/** What there is to know of a certificate that has been checked. */
export interface ReadCertificate {
  /** In order, without what is no certificate. */
  readonly chain: string;
  /** PKCS #8. */
  readonly key: string;
  readonly names: readonly string[];
  readonly issuer: string;
  readonly serialNumber: string;
  /** SHA-256 of the leaf, in hexadecimal. */
  readonly fingerprint: string;
  /** Such as `RSA 2048` or `EC prime256v1`. */
  readonly keyType: string;
  /** ms since the Unix epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
}

const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
/** RFC 5280 §4.2.1.12: id-kp-serverAuth. */
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
/** Authorities do not go deeper; what does would weigh on every handshake. */
const LONGEST_CHAIN = 8;
const LEAST_RSA_BITS = 2048;

/**
 * Reads a certificate, and sees to it that clients will accept it.
 * @param now ms since the Unix epoch
 * @throws InvalidInput naming all that is wrong with it
 */
export function readCertificate(given: GivenCertificate, now: number): ReadCertificate {
  const issues: InputIssue[] = [];
  const complain = (path: string, expected: string, received: string): void =>
    void issues.push({ path, expected, received });
  const chain = certificatesIn(given.chain, complain);
  const key = keyIn(given.key, complain);
  const [leaf] = chain;
  if (leaf === undefined || key === undefined) throw new InvalidInput('certificate', issues);
  const notBefore = Date.parse(leaf.validFrom);
  const notAfter = Date.parse(leaf.validTo);
  const names = namesOf(leaf);
  if (!leaf.checkPrivateKey(key)) complain('key', 'the key of the certificate', 'another key');
  if (notAfter <= now) complain('chain.0', 'one that has not expired', `one until ${leaf.validTo}`);
  if (notBefore > now) complain('chain.0', 'one that is valid now', `one from ${leaf.validFrom}`);
  if (names.length === 0) complain('chain.0', 'one with DNS names', 'one without');
  for (const name of names) {
    if (!certifiedNameSchema.safeParse(name).success) {
      complain('chain.0', 'DNS names that are hostnames', JSON.stringify(name));
    }
  }
  // Node has the extended key usage under this name.
  const usages = leaf.keyUsage as readonly string[] | undefined;
  if (usages !== undefined && !usages.includes(SERVER_AUTH)) {
    complain('chain.0', 'one for TLS servers', `one for ${usages.join(', ')}`);
  }
  checkOrder(chain, given.privateAuthority, complain);
  checkStrength(key, chain, given.key, complain);
  if (issues.length > 0) throw new InvalidInput('certificate', issues);
  return {
    chain: chain.map(String).join(''),
    key: key.export({ type: 'pkcs8', format: 'pem' }),
    names,
    issuer: oneLine(leaf.issuer),
    serialNumber: leaf.serialNumber.toLowerCase(),
    fingerprint: leaf.fingerprint256.replaceAll(':', '').toLowerCase(),
    keyType: keyTypeOf(key),
    notBefore,
    notAfter,
  };
}

type Complain = (path: string, expected: string, received: string) => void;

function certificatesIn(text: string, complain: Complain): X509Certificate[] {
  const found = text.match(PEM) ?? [];
  if (found.length === 0) complain('chain', 'certificates in PEM', 'none');
  if (found.length > LONGEST_CHAIN) {
    complain('chain', `at most ${LONGEST_CHAIN} certificates`, `${found.length}`);
    return [];
  }
  return found.flatMap((pem, i) => {
    try {
      return new X509Certificate(pem);
    } catch (error) {
      complain(`chain.${i}`, 'a certificate', `what is none (${messageOf(error)})`);
      return [];
    }
  });
}

/** Says nothing of what the key is: errors are logged. */
function keyIn(pem: string, complain: Complain): KeyObject | undefined {
  try {
    return createPrivateKey(pem);
  } catch {
    const isEncrypted = /ENCRYPTED/.test(pem);
    complain('key', 'a private key in PEM', isEncrypted ? 'one with a passphrase' : 'no such key');
    return undefined;
  }
}

/** RFC 5280 §4.2.1.6. A common name alone counts for nothing with clients of today (RFC 9525 §2). */
const namesOf = ({ subjectAltName = '' }: X509Certificate): string[] => [
  ...new Set(
    [...subjectAltName.matchAll(/(?:^|, )DNS:([^,"]+)/g)].map(([, name]) =>
      (name ?? '').toLowerCase(),
    ),
  ),
];

function checkOrder(
  chain: readonly X509Certificate[],
  privateAuthority: boolean,
  complain: Complain,
): void {
  for (const [i, one] of chain.entries()) {
    const next = chain[i + 1];
    if (next === undefined || isIssuedBy(one, next)) continue;
    complain(
      `chain.${i + 1}`,
      `the certificate of ${oneLine(one.issuer)}`,
      `that of ${oneLine(next.subject)}`,
    );
    return;
  }
  const last = chain.at(-1);
  if (last === undefined || privateAuthority) return;
  if (!endsAtRoot(last)) {
    complain(
      'chain',
      `all certificates up to an authority that browsers know, or privateAuthority`,
      `one that ends with ${oneLine(last.subject)}, issued by ${oneLine(last.issuer)}`,
    );
  }
}

const isIssuedBy = (one: X509Certificate, authority: X509Certificate): boolean =>
  one.checkIssued(authority) && one.verify(authority.publicKey);

let roots: readonly X509Certificate[] | undefined;

function endsAtRoot(last: X509Certificate): boolean {
  roots ??= rootCertificates.map((pem) => new X509Certificate(pem));
  return roots.some((root) => root.raw.equals(last.raw) || isIssuedBy(last, root));
}

function checkStrength(
  key: KeyObject,
  chain: readonly X509Certificate[],
  pem: string,
  complain: Complain,
): void {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  const bits = details?.modulusLength ?? LEAST_RSA_BITS;
  if (type === 'rsa' && bits < LEAST_RSA_BITS) {
    complain('key', `RSA of at least ${LEAST_RSA_BITS} bits`, `${bits} bits`);
  } else if (type !== 'rsa' && type !== 'ec') {
    complain('key', 'RSA or EC, which browsers know', String(type));
  } else {
    try {
      createSecureContext({ cert: chain.map(String).join(''), key: pem });
    } catch (error) {
      complain('chain', 'what TLS can be served with', messageOf(error));
    }
  }
}

const keyTypeOf = ({ asymmetricKeyType, asymmetricKeyDetails: details }: KeyObject): string =>
  asymmetricKeyType === 'rsa'
    ? `RSA ${details?.modulusLength ?? 0}`
    : `EC ${details?.namedCurve ?? ''}`;

const oneLine = (name: string): string => name.trim().replaceAll('\n', ', ');

/** Whether a client that asks for `host`, or any host of that pattern, would accept one of `names` (RFC 9525 §6.3). */
export function covers(names: readonly string[], host: string): boolean {
  if (names.includes(host)) return true;
  const dot = host.indexOf('.');
  return dot > 0 && !host.startsWith('*') && names.includes(`*${host.slice(dot)}`);
}
