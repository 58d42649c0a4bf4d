/**
 * Fetches through a Canopy network: asks a router which edges are best, goes to the next when one fails
 * or breaks off, and tells the routers how far the edges are. For browsers and Node 22 or newer; one
 * module without dependencies.
 */

/** An edge, as the router lists it for one URL. */
export interface Edge {
  readonly name: string;
  /** The URL at this edge. */
  readonly url: string;
  /** Where round trips to it are measured. */
  readonly echoUrl: string;
  readonly location: string;
  /** Expected, ms; `null`: nothing is known. */
  readonly roundTripMs: number | null;
}

/** A round trip that an edge has seen, ms: the fastest of some. */
export interface Measurement {
  readonly edge: string;
  readonly roundTripMs: number;
}

export interface ClientOptions {
  /** Base URL of a router, or of several, the next being asked when one does not answer. */
  readonly router: string | URL | readonly (string | URL)[];
  /** For an edge to begin its answer, and a router to give its. Default 5000. */
  readonly attemptTimeoutMs?: number;
  /** For so long an edge that has failed comes last. Default 30000. */
  readonly avoidMs?: number;
  /** In place of the global one. */
  readonly fetch?: typeof fetch;
  /** Ms; in place of `performance.now`. */
  readonly now?: () => number;
}

export interface FetchOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array<ArrayBuffer>;
  readonly signal?: AbortSignal;
  /** Edges that are asked at once, the first good answer counting; only with GET and HEAD. Default 1. */
  readonly race?: number;
}

/** Edges that are measured at a time, and round trips to each. */
const MEASURED_EDGES = 4;
const ROUND_TRIPS = 3;

/** An edge that is measured to be nearer by so much goes before the one that the router has first. */
const CLEARLY_NEARER_MS = 20;

/** Another edge may do better (RFC 9110 §15.6). */
const FAILURES: ReadonlySet<number> = new Set([500, 502, 503, 504]);

/** May be sent again without doing anything twice (RFC 9110 §9.2.1). */
const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

interface List {
  readonly ttlSeconds: number;
  readonly edges: readonly Edge[];
  readonly beacon: { readonly url: string; readonly token: string };
}

interface Listed extends List {
  /** The router that it comes from. */
  readonly router: URL;
  readonly untilMs: number;
}

/** Lists that are remembered. */
const MAX_LISTS = 200;

/** What a page or program fetches with. */
export class CanopyClient {
  readonly #routers: readonly URL[];
  readonly #attemptTimeoutMs: number;
  readonly #avoidMs: number;
  readonly #fetch: typeof fetch;
  readonly #now: () => number;
  readonly #lists = new Map<string, Listed>();
  /** Until when an edge comes last, by name. */
  readonly #avoided = new Map<string, number>();
  readonly #roundTripsMs = new Map<string, number>();

  constructor(options: ClientOptions) {
    const { router, attemptTimeoutMs = 5_000, avoidMs = 30_000 } = options;
    this.#routers = (Array.isArray(router) ? router : [router]).map((url) => new URL(String(url)));
    this.#attemptTimeoutMs = attemptTimeoutMs;
    this.#avoidMs = avoidMs;
    this.#fetch = options.fetch ?? ((...asked) => fetch(...asked));
    this.#now = options.now ?? (() => performance.now());
  }

  /**
   * The edges for a URL, the best first.
   * @throws Error if no router answers, and none has before
   */
  async edges(url: string | URL, signal?: AbortSignal): Promise<readonly Edge[]> {
    return this.#ordered((await this.#listFor(String(url), signal)).edges);
  }

  /**
   * Fetches a URL of a site from its edges. Without any router it goes to the URL itself. A body that
   * breaks off is gone on with from the next edge, where the answer has a strong ETag and no content coding.
   * @throws the last edge's error if all fail, the signal's reason if it is aborted
   */
  async fetch(url: string | URL, options: FetchOptions = {}): Promise<Response> {
    const { method = 'GET', race = 1, signal } = options;
    const edges = await this.edges(url, signal).catch(() => undefined);
    signal?.throwIfAborted();
    if (edges === undefined) return this.#fetch(String(url), init(options));
    const isSafe = SAFE.has(method.toUpperCase());
    const left = isSafe ? [...edges] : edges.slice(0, 1);
    const { edge, response } = await this.#first(left, isSafe ? race : 1, options);
    return method.toUpperCase() === 'GET'
      ? this.#resuming(response, edge, left, options)
      : response;
  }

  /**
   * Measures how far the nearest edges are, and tells the router. What one page measures improves where
   * all clients of its network are sent.
   * @param url any of the site
   * @returns the nearest first
   */
  async measure(url: string | URL, signal?: AbortSignal): Promise<readonly Measurement[]> {
    const list = await this.#listFor(String(url), signal);
    const { token } = list.beacon;
    const measured: (Measurement & { readonly receipt: string })[] = [];
    // One after the other, for they would be in each other's way.
    for (const edge of list.edges.slice(0, MEASURED_EDGES)) {
      const best = await this.#measureOne(edge, token, signal).catch(() => undefined);
      signal?.throwIfAborted();
      if (best !== undefined) measured.push(best);
    }
    for (const { edge, roundTripMs } of measured) this.#roundTripsMs.set(edge, roundTripMs);
    if (measured.length > 0) {
      const receipts = measured.map(({ receipt }) => receipt);
      // A token is good for one beacon.
      this.#lists.delete(String(url));
      await this.#within(signal, (patience) =>
        this.#fetch(new URL(list.beacon.url, list.router), {
          method: 'POST',
          headers: { 'Content-Type': 'text/plain' },
          body: JSON.stringify({ token, receipts }),
          keepalive: true,
          signal: patience,
        }),
      );
    }
    return measured
      .map(({ edge, roundTripMs }) => ({ edge, roundTripMs }))
      .toSorted((a, b) => a.roundTripMs - b.roundTripMs);
  }

  /** The edge's word on the fastest of some round trips on one connection. */
  async #measureOne(edge: Edge, token: string, signal?: AbortSignal) {
    let echo: string | undefined;
    let best: (Measurement & { readonly receipt: string }) | undefined;
    for (let i = 0; i <= ROUND_TRIPS; i++) {
      const url = new URL(edge.echoUrl);
      url.searchParams.set('token', token);
      if (echo !== undefined) url.searchParams.set('echo', echo);
      const answer = await this.#within(signal, async (patience) => {
        const response = await this.#fetch(url, { signal: patience, cache: 'no-store' });
        if (!response.ok) throw new Error(`${edge.name} answered ${response.status}`);
        return (await response.json()) as { echo: string; receipt?: string; roundTripMs?: number };
      });
      const { receipt, roundTripMs = Infinity } = answer;
      if (receipt !== undefined && roundTripMs < (best?.roundTripMs ?? Infinity)) {
        best = { edge: edge.name, roundTripMs, receipt };
      }
      echo = answer.echo;
    }
    return best;
  }

  async #listFor(url: string, signal?: AbortSignal): Promise<Listed> {
    const known = this.#lists.get(url);
    if (known !== undefined && known.untilMs > this.#now()) return known;
    let failure: unknown;
    for (const router of this.#routers) {
      try {
        const list = await this.#ask(router, url, signal);
        const untilMs = this.#now() + list.ttlSeconds * 1000;
        const listed = { ...list, router, untilMs };
        this.#lists.delete(url);
        this.#lists.set(url, listed);
        const [oldest] = this.#lists.keys();
        if (this.#lists.size > MAX_LISTS && oldest !== undefined) this.#lists.delete(oldest);
        return listed;
      } catch (error) {
        signal?.throwIfAborted();
        failure = error;
      }
    }
    // What was best a while ago is better than nothing.
    if (known !== undefined) return known;
    throw failure;
  }

  #ask(router: URL, url: string, signal?: AbortSignal): Promise<List> {
    const asked = new URL('/.canopy/route', router);
    asked.searchParams.set('url', url);
    return this.#within(signal, async (patience) => {
      const response = await this.#fetch(asked, { signal: patience, cache: 'no-store' });
      if (!response.ok) throw new Error(`The router answered ${response.status} for ${url}`);
      return (await response.json()) as List;
    });
  }

  /** As the router has them; failed ones last, and one before that is measured to be clearly nearer. */
  #ordered(edges: readonly Edge[]): readonly Edge[] {
    const now = this.#now();
    const avoided = new Set(edges.filter(({ name }) => (this.#avoided.get(name) ?? 0) > now));
    const well = edges.filter((edge) => !avoided.has(edge));
    const msOf = ({ name }: Edge): number => this.#roundTripsMs.get(name) ?? Infinity;
    const nearest = well.toSorted((a, b) => msOf(a) - msOf(b)).slice(0, 1);
    const isNearer = nearest.some(
      (edge) => msOf(edge) + CLEARLY_NEARER_MS < msOf(well[0] ?? edge) && this.#isMeasured(well[0]),
    );
    return [...new Set([...(isNearer ? nearest : []), ...well, ...avoided])];
  }

  #isMeasured(edge: Edge | undefined): boolean {
    return edge !== undefined && this.#roundTripsMs.has(edge.name);
  }

  /**
   * The first good answer, edges being tried in their order, `race` of them at a time.
   * @param left those that may be tried; those that were are taken out
   */
  async #first(
    left: Edge[],
    race: number,
    options: FetchOptions,
  ): Promise<{ readonly edge: Edge; readonly response: Response }> {
    let failure: unknown = new Error('There are no edges');
    while (left.length > 0) {
      const tried = left.splice(0, Math.max(1, race)).map((edge) => {
        const controller = new AbortController();
        return { edge, controller, answer: this.#attempt(edge, options, controller) };
      });
      try {
        const won = await Promise.any(
          tried.map(async (one) => ({ ...one, response: await one.answer })),
        );
        for (const { controller } of tried) if (controller !== won.controller) controller.abort();
        return won;
      } catch (error) {
        options.signal?.throwIfAborted();
        for (const one of error instanceof AggregateError ? error.errors : [error]) {
          // The first answer of trouble is kept, for it says more than a lost connection.
          if (!(failure instanceof UnwellAnswer)) failure = one;
          else if (one instanceof UnwellAnswer) void one.response.body?.cancel();
        }
      }
    }
    if (failure instanceof UnwellAnswer) return { edge: failure.edge, response: failure.response };
    throw failure;
  }

  async #attempt(
    edge: Edge,
    options: FetchOptions,
    controller: AbortController,
  ): Promise<Response> {
    const signal =
      options.signal === undefined
        ? controller.signal
        : AbortSignal.any([options.signal, controller.signal]);
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      controller.abort(new Error(`${edge.name} did not answer in time`));
    }, this.#attemptTimeoutMs);
    try {
      const response = await this.#fetch(edge.url, { ...init(options), signal });
      if (FAILURES.has(response.status)) throw new UnwellAnswer(edge, response);
      return response;
    } catch (error) {
      // Who only lost a race, or is no longer wanted, has not failed.
      if (isLate || !signal.aborted) this.#avoid(edge);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  #avoid({ name }: Edge): void {
    this.#avoided.set(name, this.#now() + this.#avoidMs);
  }

  /** The response, its body being gone on with at the next edge where it breaks off. */
  #resuming(response: Response, edge: Edge, left: Edge[], options: FetchOptions): Response {
    const part = resumableFrom(response);
    if (part === undefined || response.body === null) return response;
    let [reader, at] = [response.body.getReader(), edge];
    let offset = part.first;
    const goOn = async (failure: unknown): Promise<void> => {
      this.#avoid(at);
      options.signal?.throwIfAborted();
      if (left.length === 0) throw failure;
      const end = part.last === undefined ? '' : String(part.last);
      const headers = { ...withoutRange(options.headers), Range: `bytes=${offset}-${end}` };
      const next = await this.#first(left, 1, { ...options, headers });
      const range = contentRange(next.response);
      const isSame =
        next.response.headers.get('ETag') === part.etag &&
        range?.first === offset &&
        next.response.body !== null;
      // Another version, or all of it: what has been read would not go with it.
      if (!isSame || next.response.body === null) {
        await next.response.body?.cancel();
        return goOn(failure);
      }
      [reader, at] = [next.response.body.getReader(), next.edge];
    };
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>(
      {
        pull: async (controller) => {
          for (;;) {
            try {
              const { done, value } = await reader.read();
              if (done) return controller.close();
              offset += value.byteLength;
              return controller.enqueue(value);
            } catch (failure) {
              await goOn(failure);
            }
          }
        },
        cancel: (reason) => reader.cancel(reason),
      },
      { highWaterMark: 0 },
    );
    const { status, statusText, headers, url } = response;
    const whole = new Response(body, { status, statusText, headers });
    return Object.defineProperty(whole, 'url', { value: url });
  }

  async #within<T>(
    signal: AbortSignal | undefined,
    work: (patience: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const patience = AbortSignal.timeout(this.#attemptTimeoutMs);
    return work(signal === undefined ? patience : AbortSignal.any([signal, patience]));
  }
}

/** An answer that tells of trouble: given to the caller when no other edge does better. */
class UnwellAnswer extends Error {
  readonly edge: Edge;
  readonly response: Response;

  constructor(edge: Edge, response: Response) {
    super(`${edge.name} answered ${response.status}`);
    this.edge = edge;
    this.response = response;
  }
}

/** What of a representation an answer has, if the rest can be had from elsewhere byte for byte. */
function resumableFrom(response: Response) {
  const { status, headers } = response;
  const etag = headers.get('ETag');
  // RFC 9110 §8.8.1: a weak one may stand for other bytes. What is coded is decoded before it is counted;
  // where CORS hides the coding, the rest as it is has another ETag (§8.8.3.3) and is not taken.
  if (etag === null || etag.startsWith('W/') || headers.has('Content-Encoding')) return undefined;
  if (headers.get('Accept-Ranges') === 'none') return undefined;
  if (status === 200) return { etag, first: 0, last: undefined };
  const range = status === 206 ? contentRange(response) : undefined;
  return range && { etag, ...range };
}

function contentRange({ status, headers }: Response) {
  const field = status === 206 ? headers.get('Content-Range') : null;
  const [, first, last] = /^bytes (\d+)-(\d+)\//.exec(field ?? '') ?? [];
  return first === undefined ? undefined : { first: Number(first), last: Number(last) };
}

const withoutRange = (headers: Readonly<Record<string, string>> = {}): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).filter(([name]) => !/^(?:range|if-range)$/i.test(name)),
  );

function init({ method = 'GET', headers, body, signal }: FetchOptions): RequestInit {
  return {
    method,
    ...(headers !== undefined && { headers }),
    ...(body !== undefined && { body }),
    ...(signal !== undefined && { signal }),
  };
}
