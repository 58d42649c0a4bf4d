import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

x509.cryptoProvider.set(webcrypto);

const EC = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

export interface Issued {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
}

export interface Wanted {
  readonly names: readonly string[];
  /** ms since the Unix epoch; by default an hour ago, and in thirty days. */
  readonly notBefore?: number;
  readonly notAfter?: number;
  /** Where it is told whether the certificate was revoked. */
  readonly ocspUrl?: string;
  readonly clientOnly?: boolean;
}

/** An authority of one test, with any certificates that a test may want. */
export class TestAuthority {
  readonly certificate: x509.X509Certificate;
  readonly keys: webcrypto.CryptoKeyPair;

  private constructor(certificate: x509.X509Certificate, keys: webcrypto.CryptoKeyPair) {
    this.certificate = certificate;
    this.keys = keys;
  }

  /** @param by the authority above; without it a root */
  static async create(name = 'Canopy test root', by?: TestAuthority): Promise<TestAuthority> {
    const keys = await newKeys();
    const certificate = await x509.X509CertificateGenerator.create({
      ...lifeOf({}),
      serialNumber: serial(),
      subject: `CN=${name}`,
      issuer: by?.certificate.subject ?? `CN=${name}`,
      publicKey: keys.publicKey,
      signingKey: (by?.keys ?? keys).privateKey,
      signingAlgorithm: EC,
      extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
    });
    return new TestAuthority(certificate, keys);
  }

  /** PEM. */
  key(): Promise<string> {
    return privateKeyOf(this.keys);
  }

  /** PEM. */
  get ca(): string {
    return pem(this.certificate);
  }

  async issue(wanted: Wanted): Promise<Issued> {
    const keys = await newKeys();
    const { names, ocspUrl, clientOnly = false } = wanted;
    const certificate = await x509.X509CertificateGenerator.create({
      ...lifeOf(wanted),
      serialNumber: serial(),
      subject: `CN=${names[0] ?? 'nobody'}`,
      issuer: this.certificate.subject,
      publicKey: keys.publicKey,
      signingKey: this.keys.privateKey,
      signingAlgorithm: EC,
      extensions: [
        new x509.BasicConstraintsExtension(false),
        new x509.ExtendedKeyUsageExtension([clientOnly ? CLIENT_AUTH : SERVER_AUTH]),
        ...(names.length === 0
          ? []
          : [
              new x509.SubjectAlternativeNameExtension(
                names.map((value) => ({ type: 'dns' as const, value })),
              ),
            ]),
        ...(ocspUrl === undefined
          ? []
          : [new x509.AuthorityInfoAccessExtension({ ocsp: [ocspUrl] })]),
      ],
    });
    return { cert: pem(certificate), key: await privateKeyOf(keys) };
  }
}

const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
const HOUR_MS = 3_600_000;

const lifeOf = ({ notBefore, notAfter }: Partial<Wanted>) => ({
  notBefore: new Date(notBefore ?? Date.now() - HOUR_MS),
  notAfter: new Date(notAfter ?? Date.now() + 720 * HOUR_MS),
});

const pem = (certificate: x509.X509Certificate): string => `${certificate.toString('pem')}\n`;

const newKeys = (): Promise<webcrypto.CryptoKeyPair> =>
  webcrypto.subtle.generateKey(EC, true, ['sign', 'verify']);

async function privateKeyOf({ privateKey }: webcrypto.CryptoKeyPair): Promise<string> {
  const der = await webcrypto.subtle.exportKey('pkcs8', privateKey);
  const base64 = Buffer.from(der).toString('base64').replaceAll(/.{64}/g, '$&\n');
  return `-----BEGIN PRIVATE KEY-----\n${base64.trim()}\n-----END PRIVATE KEY-----\n`;
}

let serials = 0;
const serial = (): string => (0x1000_0000 + serials++).toString(16);
