import type { Readable } from 'node:stream';
import { Agent, type Dispatcher, request } from 'undici';
import { z } from 'zod';
import { validate } from '#core/contract/validate.ts';
import { CanopyError, ERRORS, type ErrorCode, messageOf } from '#core/errors.ts';
import { problemSchema } from './api-types.ts';

/** The longest that the control plane holds back one answer on long work. */
const LONGEST_WAIT_MS = 60_000;
/** How often somebody who watches is shown how far it is. */
const SHOW_MS = 500;

/** Items asked for at once. */
const PAGE = 1_000;

export interface ControlPlaneAddress {
  readonly url: string;
  readonly token: string;
  /** Authorities (PEM) in place of those of the system. */
  readonly ca?: string | undefined;
}

export interface Body {
  readonly content: string | Readable | Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

/** Requests to a control plane, and what they are answered with. */
export class ApiConnection {
  readonly #address: ControlPlaneAddress;
  readonly #dispatcher: Dispatcher | undefined;

  constructor(address: ControlPlaneAddress) {
    this.#address = address;
    const { ca } = address;
    this.#dispatcher = ca === undefined ? undefined : new Agent({ connect: { ca } });
  }

  /** Every page of a list, or its first `most` items behind `start`. */
  async all<T extends z.ZodType>(
    item: T,
    path: string,
    most = Infinity,
    start?: number,
  ): Promise<z.output<T>[]> {
    const page = z.looseObject({ items: z.array(item), next: z.string().nullable() });
    const all: z.output<T>[] = [];
    let after = start === undefined ? '' : `&after=${start}`;
    for (;;) {
      const limit = Math.min(PAGE, most - all.length);
      const { items, next } = await this.send(page, 'GET', `${path}?limit=${limit}${after}`);
      all.push(...items);
      if (next === null || all.length >= most) return all;
      after = `&after=${encodeURIComponent(next)}`;
    }
  }

  /** What is at `path` once it is over, or as it stands after `timeoutMs`. */
  async wait<T extends z.ZodType>(
    schema: T,
    path: string,
    timeoutMs: number,
    isOver: (found: z.output<T>) => boolean,
    onProgress: ((found: z.output<T>) => void) | undefined,
  ): Promise<z.output<T>> {
    const endMs = performance.now() + timeoutMs;
    for (;;) {
      const leftMs = Math.max(0, Math.round(endMs - performance.now()));
      const waitMs = Math.min(leftMs, onProgress === undefined ? LONGEST_WAIT_MS : SHOW_MS);
      const found = await this.send(schema, 'GET', `${path}?waitMs=${waitMs}`);
      onProgress?.(found);
      if (isOver(found) || leftMs === waitMs) return found;
    }
  }

  /** @throws CanopyError that the control plane answered, or `unavailable` */
  async send<T extends z.ZodType>(
    schema: T,
    method: string,
    path: string,
    body?: Body,
  ): Promise<z.output<T>> {
    const { text, url } = await this.exchange(method, path, body);
    return validate(
      schema,
      text === '' ? undefined : parse(text, url),
      'answer of the control plane',
    );
  }

  async exchange(method: string, path: string, body?: Body, onProgress?: OnProgress) {
    const { url, token } = this.#address;
    const at = { url: new URL(path, url), token, dispatcher: this.#dispatcher };
    const { statusCode, text, headers } = await exchange(at, method, body, onProgress);
    if (statusCode >= 400) throw problemOf(statusCode, text, url);
    return { text, url, headers };
  }
}

/** @param version that the request is to be made from */
export const json = (value: unknown, version?: number | string): Body => ({
  content: JSON.stringify(value),
  headers: {
    'content-type': 'application/json',
    ...(version !== undefined && { 'if-match': `"${version}"` }),
  },
});

interface Endpoint {
  readonly url: URL;
  readonly token: string;
  readonly dispatcher: Dispatcher | undefined;
}

export type OnProgress = (bytes: number, total: number) => void;

async function exchange(
  { url, token, dispatcher }: Endpoint,
  method: string,
  body?: Body,
  onProgress: OnProgress = () => undefined,
) {
  try {
    const answer = await request(url, {
      ...(dispatcher !== undefined && { dispatcher }),
      method: method as 'GET' | 'PUT' | 'POST' | 'DELETE',
      headers: { authorization: `Bearer ${token}`, ...body?.headers },
      body: body?.content ?? null,
      // An upload takes as long as it takes; the answer comes after it.
      headersTimeout: 0,
    });
    const total = Number(answer.headers['content-length'] ?? 0);
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of answer.body as AsyncIterable<Uint8Array>) {
      chunks.push(chunk);
      onProgress((bytes += chunk.length), total);
    }
    const { statusCode, headers } = answer;
    return { statusCode, headers, text: Buffer.concat(chunks).toString() };
  } catch (cause) {
    throw new CanopyError(
      'unavailable',
      `Cannot reach the control plane at ${url.origin}: ${messageOf(cause)}`,
      { cause },
    );
  }
}

export function parse(text: string, url: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CanopyError('upstream-invalid', `${url} does not answer like a control plane`, {
      cause,
    });
  }
}

function problemOf(status: number, text: string, url: string): CanopyError {
  const problem = problemSchema.safeParse(parse(text, url));
  const { code, detail, title } = problem.data ?? {};
  return new CanopyError(
    code !== undefined && isErrorCode(code) ? code : 'internal-error',
    detail ?? title ?? `The control plane answered ${status}`,
  );
}

const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(ERRORS, code);
