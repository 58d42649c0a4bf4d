import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { Clock } from '#core/clock.ts';
import { servedSite } from '#core/cache/served-site.ts';
import { UNKNOWN_COUNTRY } from '#core/cache/policy/keying.ts';
import type { Config } from '#core/contract/event.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import { readRequest } from '#core/http/request.ts';
import { clientLookup } from '#core/serving/client-lookup.ts';
import { networkPseudonym, withClient } from '#core/tree/forward.ts';
import { Tree } from '#core/tree/tree.ts';
import type { SiteUrl } from './urls.ts';

/** For one document, to its last byte. */
const LONGEST_MS = 60_000;

/** As the tree knows the control plane. */
const ASKING = { name: 'control-plane', tier: 'edge' } as const;

/**
 * Reads documents of sites as an edge would: through mid-tiers, from the site's own servers. Nothing
 * else can be reached by it.
 */
export class Documents {
  readonly #tree: Tree;
  readonly #clock: Clock;
  readonly #config: () => Config;

  constructor(clock: Clock, config: () => Config) {
    this.#clock = clock;
    this.#config = config;
    this.#tree = new Tree({ clock, asking: ASKING, config });
  }

  /**
   * The content, undone of gzip however often it was put in it.
   * @throws CanopyError `upstream-invalid` where there is none, `content-too-large`, `upstream-…`
   */
  async *read({ site, url }: SiteUrl, maxBytes: number): AsyncGenerator<Buffer, void, undefined> {
    const timeout = new AbortController();
    const cancel = this.#clock.after(LONGEST_MS, () =>
      timeout.abort(new CanopyError('upstream-timeout', `${url} took more than ${LONGEST_MS} ms`)),
    );
    try {
      let bytes = 0;
      for await (const chunk of unzipped(await this.#open({ site, url }, timeout.signal))) {
        bytes += chunk.length;
        if (bytes > maxBytes) {
          throw new CanopyError('content-too-large', `${url} has more than ${maxBytes} bytes`);
        }
        yield chunk;
      }
    } catch (cause) {
      if (cause instanceof CanopyError) throw cause;
      throw new CanopyError('upstream-invalid', `${url} cannot be read: ${messageOf(cause)}`, {
        cause,
      });
    } finally {
      cancel();
    }
  }

  close(): Promise<void> {
    return this.#tree.close();
  }

  async #open({ site, url }: SiteUrl, signal: AbortSignal): Promise<AsyncIterable<Buffer>> {
    const config = this.#config();
    const by = { node: ASKING.name, network: networkPseudonym(config.network.tierKey) };
    const received = readRequest({ method: 'GET', target: url, fields: [], encrypted: false });
    const request = withClient(received, { address: 'unknown' });
    const nobody = { inform: () => undefined };
    const lookup = clientLookup(
      { forwardedBy: by },
      nobody,
      request,
      servedSite(site),
      () => UNKNOWN_COUNTRY,
    );
    const answer = await this.#tree.fetch({
      site,
      key: lookup.key,
      keyedBy: lookup.keyedBy,
      method: 'GET',
      target: lookup.request.target,
      fields: lookup.upstreamFields(),
      host: request.host,
      content: undefined,
      fence: config.sequence,
      changed: false,
      signal,
    });
    if (answer.status === 200) return answer.body;
    answer.discard();
    throw new CanopyError('upstream-invalid', `${url} was answered ${answer.status}`);
  }
}

/** RFC 1952 §2.3.1: how gzip begins. */
const isZipped = (chunk: Buffer): boolean => chunk[0] === 0x1f && chunk[1] === 0x8b;

/** A file in gzip may have been put in gzip once more to be sent. */
const MAX_ZIPS = 2;

async function* unzipped(content: AsyncIterable<Buffer>, zips = 0): AsyncGenerator<Buffer> {
  const chunks = content[Symbol.asyncIterator]();
  try {
    let { value: first = Buffer.alloc(0), done } = await chunks.next();
    while (first.length < 2 && done !== true) {
      const next = await chunks.next();
      done = next.done;
      if (next.done !== true) first = Buffer.concat([first, next.value]);
    }
    const whole = rejoined(first, chunks);
    if (isZipped(first) && zips < MAX_ZIPS) {
      yield* unzipped(gunzipped(whole), zips + 1);
    } else yield* whole;
  } finally {
    await chunks.return?.();
  }
}

async function* rejoined(first: Buffer, rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  yield first;
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
}

async function* gunzipped(content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield* pipeline(content, createGunzip(), () => undefined) as AsyncIterable<Buffer>;
}
