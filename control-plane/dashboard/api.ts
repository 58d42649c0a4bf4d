import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { signOut, token } from './session.ts';

/** What the API says went wrong (RFC 9457, docs/errors.md), or why it could not be asked. */
export class Problem extends Error {
  readonly code: string;
  readonly status: number;
  readonly retrySafe: boolean;
  readonly issues: readonly Issue[];

  constructor(content: Partial<ProblemContent>, status: number) {
    super(content.detail ?? content.title ?? `The control plane answered ${status}`);
    this.name = 'Problem';
    this.code = content.code ?? 'unreachable';
    this.status = status;
    this.retrySafe = content.retrySafe ?? true;
    this.issues = content.issues ?? [];
  }
}

export interface Issue {
  /** Of the content, such as `origin.servers[0].url`. */
  readonly path: string;
  readonly expected: string;
  readonly received: string;
}

interface ProblemContent {
  readonly title: string;
  readonly detail: string;
  readonly code: string;
  readonly retrySafe: boolean;
  readonly issues: readonly Issue[];
}

export interface CallOptions {
  readonly method?: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** What is `undefined` is left out. */
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

export interface Answer<T> {
  readonly content: T;
  readonly etag: string | null;
}

/**
 * Asks the API, with the token of the session.
 * @param path beginning with `/v1/`
 * @throws Problem
 */
export async function ask<T>(path: string, options: CallOptions = {}): Promise<Answer<T>> {
  const { method = 'GET', query = {}, body, headers = {}, signal } = options;
  const url = new URL(path, location.origin);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) url.searchParams.set(name, String(value));
  }
  const asked = token.get();
  const answer = await fetch(url, {
    method,
    headers: {
      ...(asked !== undefined && { authorization: `Bearer ${asked}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    ...(signal !== undefined && { signal }),
  }).catch((error: unknown) => {
    if (signal?.aborted === true) throw error;
    throw new Problem({ detail: 'The control plane cannot be reached' }, 0);
  });
  const text = await answer.text();
  const content: unknown = text === '' ? undefined : JSON.parse(text);
  if (answer.ok) return { content: content as T, etag: answer.headers.get('etag') };
  // A token that has been revoked or has expired; one that was never right is told of at signing in.
  if (answer.status === 401 && token.get() === asked) signOut();
  throw new Problem(content ?? {}, answer.status);
}

/** The content alone. @throws Problem */
export const call = async <T>(path: string, options?: CallOptions): Promise<T> =>
  (await ask<T>(path, options)).content;

export interface Asked<T> {
  /** The last that came, kept while the next is asked for and when that fails. */
  readonly content: T | undefined;
  readonly problem: Problem | undefined;
  readonly isAsking: boolean;
  /** Asks now. */
  readonly again: () => void;
}

/**
 * What the API answers to a GET, asked again every `everyMs` while the page is seen.
 * @param path `undefined`: asks nothing
 */
export function useApi<T>(
  path: string | undefined,
  query: CallOptions['query'] = {},
  everyMs?: number,
): Asked<T> {
  const [state, setState] = useState<Omit<Asked<T>, 'again'> & { of: string }>({
    of: '',
    content: undefined,
    problem: undefined,
    isAsking: path !== undefined,
  });
  const of = path === undefined ? '' : `${path} ${JSON.stringify(query)}`;
  const running = useRef<AbortController | undefined>(undefined);
  const again = useCallback((): void => {
    running.current?.abort();
    if (path === undefined) return;
    const asking = new AbortController();
    running.current = asking;
    call<T>(path, { query, signal: asking.signal }).then(
      (content) => setState({ of, content, problem: undefined, isAsking: false }),
      (error: unknown) => {
        if (asking.signal.aborted) return;
        const problem =
          error instanceof Problem ? error : new Problem({ detail: String(error) }, 0);
        setState((last) => ({
          of,
          content: last.of === of ? last.content : undefined,
          problem,
          isAsking: false,
        }));
      },
    );
    // `of` stands for path and query.
  }, [of]);
  useEffect(() => {
    again();
    const isSeen = (): boolean => document.visibilityState === 'visible';
    const timer =
      everyMs === undefined ? undefined : setInterval(() => isSeen() && again(), everyMs);
    return () => {
      clearInterval(timer);
      running.current?.abort();
    };
  }, [again, everyMs]);
  const { content, problem, isAsking } = state;
  return state.of === of || state.of === ''
    ? { content, problem, isAsking, again }
    : { content: undefined, problem: undefined, isAsking: true, again };
}
