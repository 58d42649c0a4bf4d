import { Agent, request } from 'undici';
import { CanopyError, messageOf } from '#core/errors.ts';

const CONNECT_TIMEOUT_MS = 2_000;
const ANSWER_TIMEOUT_MS = 5_000;

/** A node's requests to the control plane, sent to the replica that answered last and then to the others. */
export class ControlPlaneClient {
  readonly #urls: readonly string[];
  readonly #credential: string;
  /** Of its own, so that closing it cuts the stream and nothing else in the process. */
  readonly agent = new Agent({
    connect: { timeout: CONNECT_TIMEOUT_MS },
    headersTimeout: ANSWER_TIMEOUT_MS,
    bodyTimeout: ANSWER_TIMEOUT_MS,
  });
  #current = 0;

  constructor(urls: readonly string[], credential: string) {
    this.#urls = urls;
    this.#credential = credential;
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

/** What a control plane's refusal says, in one line. */
export function refusal(url: URL, status: number, text: string): CanopyError {
  return new CanopyError(
    status === 401 ? 'unauthenticated' : 'upstream-invalid',
    `The control plane at ${url.origin} answered ${status}: ${detailOf(text)}`,
  );
}

function detailOf(text: string): string {
  try {
    const problem = JSON.parse(text) as { readonly detail?: unknown };
    if (typeof problem.detail === 'string') return problem.detail;
  } catch (error) {
    return `no problem document (${messageOf(error)})`;
  }
  return 'no detail';
}
