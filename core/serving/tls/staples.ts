import type { Logger } from 'pino';
import { request } from 'undici';
import type { Cancel, Clock } from '#core/clock.ts';
import type { CertificateMaterial } from '#core/contract/certificate.ts';
import { messageOf } from '#core/errors.ts';
import { ocspHoldsUntil, ocspQuestion } from './ocsp.ts';

const TIMEOUT_MS = 10_000;
/** After a responder could not be asked, or said nothing that holds. */
const RETRY_MS = 300_000;
/** The part of its life after which an answer is renewed. */
const RENEW_AFTER = 1 / 2;
const MAX_BYTES = 64 * 1024;

interface Options {
  readonly clock: Clock;
  readonly log: Pick<Logger, 'warn'>;
  /** Called with each answer, and with nothing once one holds no more. @param fingerprint of the leaf */
  readonly tell: (fingerprint: string, response: Uint8Array | undefined) => void;
}

interface Stapled {
  readonly fingerprint: string;
  cancel: Cancel;
  /** ms since the Unix epoch; 0: there is none. */
  holdsUntil: number;
}

/** Keeps, for each certificate that is presented, its authority's word that it was not revoked. */
export class Staples {
  readonly #options: Options;
  /** By the name of the certificate. */
  readonly #stapled = new Map<string, Stapled>();

  constructor(options: Options) {
    this.#options = options;
  }

  /** A certificate is presented from now on. */
  present(material: CertificateMaterial): void {
    const { name, fingerprint } = material;
    const present = this.#stapled.get(name);
    if (present?.fingerprint === fingerprint) return;
    this.forget(name);
    const stapled: Stapled = { fingerprint, cancel: () => undefined, holdsUntil: 0 };
    this.#stapled.set(name, stapled);
    void this.#renew(material, stapled);
  }

  forget(name: string): void {
    const stapled = this.#stapled.get(name);
    if (stapled === undefined) return;
    stapled.cancel();
    this.#stapled.delete(name);
    this.#options.tell(stapled.fingerprint, undefined);
  }

  close(): void {
    for (const { cancel } of this.#stapled.values()) cancel();
    this.#stapled.clear();
  }

  async #renew(material: CertificateMaterial, stapled: Stapled): Promise<void> {
    const { clock, log, tell } = this.#options;
    const { name, chain, fingerprint } = material;
    const isCurrent = (): boolean => this.#stapled.get(name) === stapled;
    let nextMs = RETRY_MS;
    try {
      const question = ocspQuestion(chain);
      if (question === undefined) return;
      const response = await ask(question);
      stapled.holdsUntil = ocspHoldsUntil(response, chain, clock.now());
      nextMs = Math.max(RETRY_MS, (stapled.holdsUntil - clock.now()) * RENEW_AFTER);
      if (isCurrent()) tell(fingerprint, response);
    } catch (error) {
      log.warn(`Nothing to staple to the certificate ${name}: ${messageOf(error)}`);
      if (stapled.holdsUntil <= clock.now() + RETRY_MS && isCurrent()) tell(fingerprint, undefined);
    }
    if (isCurrent())
      stapled.cancel = clock.after(nextMs, () => void this.#renew(material, stapled));
  }
}

async function ask({ url, request: content }: { url: string; request: Buffer }): Promise<Buffer> {
  const { statusCode, headers, body } = await request(url, {
    method: 'POST',
    headers: { 'content-type': 'application/ocsp-request' },
    body: content,
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: TIMEOUT_MS,
  });
  if (statusCode !== 200 || Number(headers['content-length'] ?? 0) > MAX_BYTES) {
    await body.dump();
    throw new Error(`${url} answers ${statusCode}`);
  }
  return upTo(body, MAX_BYTES, url);
}

/** Whatever length it announces. @throws Error beyond `maxBytes` */
async function upTo(body: AsyncIterable<Buffer>, maxBytes: number, url: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new Error(`${url} answers more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
