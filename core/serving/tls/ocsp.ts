import { createHash, verify, X509Certificate } from 'node:crypto';
import {
  BasicOCSPResponse,
  CertID,
  OCSPRequest,
  OCSPResponse,
  OCSPResponseStatus,
  Request,
  TBSRequest,
} from '@peculiar/asn1-ocsp';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import { AlgorithmIdentifier, Certificate } from '@peculiar/asn1-x509';

/** What is to be asked of whom about a certificate. */
export interface OcspQuestion {
  readonly url: string;
  /** DER. */
  readonly request: Buffer;
}

/** Where answers hold until they do not say: authorities give days. */
const DEFAULT_LIFE_MS = 3_600_000;
/** Clocks differ. */
const LEEWAY_MS = 300_000;

const SHA1 = '1.3.14.3.2.26';
/** RFC 6960 §4.2.2.2: id-kp-OCSPSigning. */
const OCSP_SIGNING = '1.3.6.1.5.5.7.3.9';
/** How answers are signed that are taken, by the algorithm's identifier. */
const DIGESTS: Readonly<Record<string, string>> = {
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
};

const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * What to ask about the first certificate of a chain (RFC 6960 §4.1); `undefined` if it names no
 * responder, or the chain has not its issuer.
 * @param chain PEM
 */
export function ocspQuestion(chain: string): OcspQuestion | undefined {
  const [leaf, issuer] = certificatesOf(chain);
  const url = /^OCSP - URI:(http\S+)$/m.exec(leaf?.infoAccess ?? '')?.[1];
  if (leaf === undefined || issuer === undefined || url === undefined) return undefined;
  const tbsRequest = new TBSRequest({
    requestList: [new Request({ reqCert: certIdOf(leaf, issuer) })],
  });
  return { url, request: Buffer.from(AsnConvert.serialize(new OCSPRequest({ tbsRequest }))) };
}

/**
 * Checks what a responder says of the first certificate of a chain: that it says it now, of this
 * certificate, and with the authority's word for it.
 * @param now ms since the Unix epoch
 * @returns until when it holds, ms since the Unix epoch
 * @throws Error if it is not to be told to clients
 */
export function ocspHoldsUntil(response: Buffer, chain: string, now: number): number {
  const [leaf, issuer] = certificatesOf(chain);
  const { responseStatus, responseBytes } = AsnConvert.parse(response, OCSPResponse);
  if (responseStatus !== OCSPResponseStatus.successful || responseBytes === undefined) {
    throw new Error(`The responder refuses, with status ${responseStatus}`);
  }
  if (leaf === undefined || issuer === undefined) throw new Error('The chain has no issuer');
  const basic = AsnConvert.parse(responseBytes.response.buffer, BasicOCSPResponse);
  if (!isSigned(basic, issuer)) throw new Error('The answer is not signed by the authority');
  const asked = certIdOf(leaf, issuer);
  const said = basic.tbsResponseData.responses.find(({ certID }) => isSame(certID, asked));
  if (said === undefined) throw new Error('The answer is about another certificate');
  const { certStatus, thisUpdate, nextUpdate } = said;
  if (certStatus.revoked !== undefined) throw new Error('The certificate was revoked');
  if (certStatus.good === undefined) throw new Error('The responder does not know the certificate');
  const until = nextUpdate?.getTime() ?? thisUpdate.getTime() + DEFAULT_LIFE_MS;
  if (thisUpdate.getTime() > now + LEEWAY_MS || until <= now) {
    throw new Error(`The answer holds from ${thisUpdate.toISOString()} only, or not any more`);
  }
  return until;
}

const certificatesOf = (chain: string): X509Certificate[] =>
  (chain.match(PEM) ?? []).map((pem) => new X509Certificate(pem));

const parsed = ({ raw }: X509Certificate): Certificate => AsnConvert.parse(raw, Certificate);

const sha1 = (data: ArrayBuffer): OctetString =>
  new OctetString(createHash('sha1').update(Buffer.from(data)).digest());

// SHA-1 is what responders know (RFC 5019 §2.1.1); it names a certificate and secures nothing.
function certIdOf(leaf: X509Certificate, issuer: X509Certificate): CertID {
  const { subject, subjectPublicKeyInfo } = parsed(issuer).tbsCertificate;
  return new CertID({
    hashAlgorithm: new AlgorithmIdentifier({ algorithm: SHA1, parameters: null }),
    issuerNameHash: sha1(AsnConvert.serialize(subject)),
    issuerKeyHash: sha1(subjectPublicKeyInfo.subjectPublicKey),
    serialNumber: parsed(leaf).tbsCertificate.serialNumber,
  });
}

const isSame = (one: CertID, other: CertID): boolean =>
  Buffer.from(one.serialNumber).equals(Buffer.from(other.serialNumber)) &&
  Buffer.from(one.issuerKeyHash.buffer).equals(Buffer.from(other.issuerKeyHash.buffer));

/** RFC 6960 §4.2.2.2: by the issuer itself, or by one that it has appointed. */
function isSigned(basic: BasicOCSPResponse, issuer: X509Certificate): boolean {
  const digest = DIGESTS[basic.signatureAlgorithm.algorithm];
  const signed = basic.tbsResponseDataRaw;
  if (digest === undefined || signed === undefined) return false;
  const appointed = (basic.certs ?? [])
    .map((certificate) => new X509Certificate(Buffer.from(AsnConvert.serialize(certificate))))
    .filter((one) => {
      // Node has the extended key usage under this name.
      const usages = one.keyUsage as readonly string[] | undefined;
      return usages?.includes(OCSP_SIGNING) === true && one.verify(issuer.publicKey);
    });
  return [issuer, ...appointed].some(({ publicKey }) =>
    verify(digest, Buffer.from(signed), publicKey, Buffer.from(basic.signature)),
  );
}
