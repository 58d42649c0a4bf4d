import { randomBytes, webcrypto } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import { CanopyError } from '#core/errors.ts';
import { writeFileWhole, writeSecretFile } from '../atomic-file.ts';
import { makeDir } from '../document.ts';

const EC = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const DAY_MS = 86_400_000;
const AUTHORITY_MS = 3650 * DAY_MS;
/** The most that browsers take of what is not their own (CA/Browser Forum, until 2026). */
const CERTIFICATE_MS = 397 * DAY_MS;
/** Clocks of clients may be behind. */
const SKEW_MS = 3_600_000;
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';

/** A certificate and its key, both PEM. */
export interface Issued {
  readonly chain: string;
  readonly key: string;
}

/**
 * The authority of one machine's network, whom only those trust who are told to: made once, its key
 * readable by its owner only.
 */
export class LocalAuthority {
  /** Of its certificate, PEM. */
  readonly file: string;
  readonly #certificate: x509.X509Certificate;
  readonly #key: webcrypto.CryptoKey;

  private constructor(file: string, certificate: x509.X509Certificate, key: webcrypto.CryptoKey) {
    this.file = file;
    this.#certificate = certificate;
    this.#key = key;
  }

  /** As certificates that it has issued name it. */
  get subject(): string {
    return this.#certificate.subject;
  }

  /** @param dir where it is kept; made if it is missing */
  static async open(dir: string, now: number): Promise<LocalAuthority> {
    x509.cryptoProvider.set(webcrypto);
    await makeDir(dir);
    const [file, keyFile] = [join(dir, 'ca.pem'), join(dir, 'ca-key.pem')];
    const [certificate, key] = await Promise.all([textIn(file), textIn(keyFile)]);
    if (certificate !== undefined && key !== undefined) {
      const der = x509.PemConverter.decodeFirst(key);
      const signing = await webcrypto.subtle.importKey('pkcs8', der, EC, false, ['sign']);
      return new LocalAuthority(file, new x509.X509Certificate(certificate), signing);
    }
    if (certificate !== undefined || key !== undefined) {
      const [there, gone] = key === undefined ? [file, keyFile] : [keyFile, file];
      // Another authority would not be believed by those who trust this one.
      throw new CanopyError(
        'conflict',
        `${there} is there, but ${gone} is not: put it back, or remove both for a new authority`,
      );
    }
    const keys = await newKeys();
    const name = 'CN=Canopy on this machine';
    const made = await x509.X509CertificateGenerator.createSelfSigned({
      ...lifeOf(now, AUTHORITY_MS),
      serialNumber: serialNumber(),
      name,
      keys,
      signingAlgorithm: EC,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      ],
    });
    await writeSecretFile(keyFile, await privateKeyOf(keys));
    await writeFileWhole(file, `${made.toString('pem')}\n`, 0o644);
    return new LocalAuthority(file, made, keys.privateKey);
  }

  /** @param names hosts, wildcards among them, and IP addresses */
  async issue(
    names: readonly { type: 'dns' | 'ip'; value: string }[],
    now: number,
  ): Promise<Issued> {
    const keys = await newKeys();
    const certificate = await x509.X509CertificateGenerator.create({
      ...lifeOf(now, CERTIFICATE_MS),
      serialNumber: serialNumber(),
      subject: 'CN=localhost',
      issuer: this.#certificate.subject,
      publicKey: keys.publicKey,
      signingKey: this.#key,
      signingAlgorithm: EC,
      extensions: [
        new x509.BasicConstraintsExtension(false),
        new x509.ExtendedKeyUsageExtension([SERVER_AUTH]),
        new x509.SubjectAlternativeNameExtension([...names]),
      ],
    });
    return { chain: `${certificate.toString('pem')}\n`, key: await privateKeyOf(keys) };
  }
}

const lifeOf = (now: number, lastsMs: number) => ({
  notBefore: new Date(now - SKEW_MS),
  notAfter: new Date(now - SKEW_MS + lastsMs),
});

/** RFC 5280 §4.1.2.2: positive, so that its first bit is 0. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x01;
  return bytes.toString('hex');
}

const newKeys = (): Promise<webcrypto.CryptoKeyPair> =>
  webcrypto.subtle.generateKey(EC, true, ['sign', 'verify']);

async function privateKeyOf({ privateKey }: webcrypto.CryptoKeyPair): Promise<string> {
  const der = await webcrypto.subtle.exportKey('pkcs8', privateKey);
  return `${x509.PemConverter.encode(der, 'PRIVATE KEY')}\n`;
}

async function textIn(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
