import { type IncomingMessage, request } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { expect } from 'vitest';

/** What one tier said it did, from its member of `Cache-Status`. */
export interface TierSaid {
  readonly node: string;
  readonly parameters: Readonly<Record<string, string | true>>;
}

export interface Seen {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
  /** One for each tier that the answer passed, the edge last. */
  readonly tiers: readonly TierSaid[];
}

/** What a client is to see; what is not named may be anything. */
export interface Expected {
  readonly status?: number;
  readonly body?: string | Buffer;
  /** Seconds, the `Age` field. */
  readonly age?: number | undefined;
  /** The edge's reason (`detail` of `Cache-Status`). */
  readonly edge?: string;
  /** The mid-tier's reason; `null`: no mid-tier was asked. */
  readonly midTier?: string | null;
  readonly headers?: Readonly<Record<string, string | undefined>>;
}

export interface RequestOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly content?: string;
  readonly host?: string;
  /** The address that it comes from, one of 127.0.0.0/8. */
  readonly from?: string;
}

/** A request under way; the test says what it should see, or awaits what it saw. */
export class Sight implements PromiseLike<Seen> {
  readonly #seen: Promise<Seen>;

  constructor(seen: Promise<Seen>) {
    this.#seen = seen;
    seen.catch(() => undefined);
  }

  // oxlint-disable-next-line unicorn/no-thenable -- so that a test can await it
  then: Promise<Seen>['then'] = (resolved, rejected) => this.#seen.then(resolved, rejected);

  async sees(expected: Expected): Promise<Seen> {
    const seen = await this.#seen;
    expect(summary(seen, expected)).toEqual(expected);
    return seen;
  }

  /** The answer breaks off, and the client can tell. */
  async breaksOff(): Promise<void> {
    await expect(this.#seen).rejects.toThrow(/aborted|hang up|ECONNRESET/);
  }
}

export function send(url: string, target: string, options: RequestOptions = {}): Sight {
  return new Sight(
    new Promise((resolve, reject) => {
      const { hostname, port } = new URL(url);
      const outgoing = request({
        host: hostname,
        port,
        path: target,
        method: options.method ?? 'GET',
        // As clients do; what asks for the connection's end is no plain request.
        headers: {
          Host: options.host ?? 'www.example.org',
          Connection: 'keep-alive',
          ...options.headers,
        },
        agent: false,
        ...(options.from === undefined ? {} : { localAddress: options.from }),
      });
      outgoing.once('error', reject);
      outgoing.once('response', (incoming) => {
        buffer(incoming).then(
          (body) =>
            resolve({
              status: incoming.statusCode ?? 0,
              headers: incoming.headers,
              rawHeaders: incoming.rawHeaders,
              body,
              tiers: tiersOf(incoming.headers['cache-status']),
            }),
          reject,
        );
      });
      outgoing.end(options.content);
    }),
  );
}

function tiersOf(field: string | string[] | undefined): readonly TierSaid[] {
  if (field === undefined) return [];
  return String(field)
    .split(/,\s*/)
    .map((member) => {
      const [node = '', ...parameters] = member.split(';').map((part) => part.trim());
      return {
        node,
        parameters: Object.fromEntries(
          parameters.map((parameter) => {
            const [name = '', value] = parameter.split('=');
            return [name, value ?? (true as const)];
          }),
        ),
      };
    });
}

const detail = (tier: TierSaid | undefined): string | null =>
  tier === undefined ? null : String(tier.parameters['detail']);

/** `expected` where the bytes are the same: vitest takes seconds to compare a few megabytes one by one. */
const same = (seen: Buffer, expected: Buffer): Buffer => (seen.equals(expected) ? expected : seen);

/** `seen` reduced to what `expected` asks about. */
function summary(seen: Seen, expected: Expected): Expected {
  const all = {
    status: seen.status,
    body: Buffer.isBuffer(expected.body) ? same(seen.body, expected.body) : seen.body.toString(),
    age: seen.headers.age === undefined ? undefined : Number(seen.headers.age),
    edge: String(detail(seen.tiers.at(-1))),
    midTier: detail(seen.tiers.at(-2)),
    headers: Object.fromEntries(
      Object.keys(expected.headers ?? {}).map((name) => [name, seen.headers[name]?.toString()]),
    ),
  };
  return Object.fromEntries(Object.entries(all).filter(([name]) => name in expected));
}
