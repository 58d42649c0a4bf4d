import { Agent, request } from 'undici';
import { CONTRACT, CONTRACT_FIELD } from '#core/contract/version.ts';
import { CanopyError, type ErrorCode, messageOf } from '#core/errors.ts';

const CONNECT_TIMEOUT_MS = 2_000;
const ANSWER_TIMEOUT_MS = 5_000;

export interface ControlPlaneClientOptions {
  /** Replicas, in order of preference. */
  readonly urls: readonly string[];
  readonly credential: string;
  /** Authorities (PEM) in place of those of the system. */
  readonly ca: string | undefined;
}

/** A node's requests to the control plane, sent to the replica that answered last and then to the others. */
export class ControlPlaneClient {
  readonly #urls: readonly string[];
  readonly #credential: string;
  /** Of its own, so that closing it cuts the stream and nothing else in the process. */
  readonly agent: Agent;
  #current = 0;

  constructor({ urls, credential, ca }: ControlPlaneClientOptions) {
    this.#urls = urls;
    this.#credential = credential;
    this.agent = new Agent({
      connect: { timeout: CONNECT_TIMEOUT_MS, ...(ca !== undefined && { ca }) },
      headersTimeout: ANSWER_TIMEOUT_MS,
      bodyTimeout: ANSWER_TIMEOUT_MS,
    });
  }

  /** The replica to use now. */
  get url(): string {
    return this.#urls[this.#current % this.#urls.length] ?? '';
  }

  get authorization(): string {
    return `Bearer ${this.#credential}`;
  }

  /** Turns to the next replica. */
  advance(): void {
    this.#current += 1;
  }

  /**
   * @returns the parsed JSON of a 2xx answer, `undefined` without content
   * @throws CanopyError if no replica takes it
   */
  post(path: string, body: unknown): Promise<unknown> {
    return this.#ask('POST', path, JSON.stringify(body));
  }

  /** The same without content to send. */
  get(path: string): Promise<unknown> {
    return this.#ask('GET', path, null);
  }

  async #ask(method: 'GET' | 'POST', path: string, body: string | null): Promise<unknown> {
    let failure: unknown;
    for (const offset of this.#urls.keys()) {
      const url = this.#urls[(this.#current + offset) % this.#urls.length] ?? '';
      try {
        return await this.#askOne(new URL(path, url), method, body);
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  async #askOne(url: URL, method: 'GET' | 'POST', body: string | null): Promise<unknown> {
    const answer = await request(url, {
      method,
      dispatcher: this.agent,
      headers: {
        authorization: this.authorization,
        [CONTRACT_FIELD]: String(CONTRACT),
        ...(body !== null && { 'content-type': 'application/json' }),
      },
      body,
    });
    const text = await answer.body.text();
    if (answer.statusCode >= 300) throw refusal(url, answer.statusCode, text);
    return text === '' ? undefined : JSON.parse(text);
  }

  async close(): Promise<void> {
    await this.agent.destroy();
  }
}

/** Refusals that asking again does not change, until somebody does something. */
const LASTING: readonly ErrorCode[] = ['unauthenticated', 'contract-unsupported'];

export const isLasting = (error: unknown): boolean =>
  error instanceof CanopyError && LASTING.includes(error.code);

/** What a control plane's refusal says, in one line. */
export function refusal(url: URL, status: number, text: string): CanopyError {
  const { code, detail } = problemIn(text);
  return new CanopyError(
    status === 401
      ? 'unauthenticated'
      : (LASTING.find((known) => known === code) ?? 'upstream-invalid'),
    `The control plane at ${url.origin} answered ${status}: ${detail}`,
  );
}

function problemIn(text: string): { readonly code?: unknown; readonly detail: string } {
  try {
    const { code, detail } = JSON.parse(text) as {
      readonly code?: unknown;
      readonly detail?: unknown;
    };
    return { code, detail: typeof detail === 'string' ? detail : 'no detail' };
  } catch (error) {
    return { detail: `no problem document (${messageOf(error)})` };
  }
}
