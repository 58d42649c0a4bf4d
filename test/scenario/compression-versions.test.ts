import { brotliDecompressSync, gunzipSync, gzipSync, zstdDecompressSync } from 'node:zlib';
import * as fc from 'fast-check';
import { expect } from 'vitest';
import { acceptanceOf, CODINGS } from '#core/http/content-coding.ts';
import type { Seen } from './kit/client.ts';
import { scenario, type World } from './kit/scenario.ts';

const UNPACK = { br: brotliDecompressSync, gzip: gunzipSync, zstd: zstdDecompressSync };

const textOf = (path: string, version: number): string => `${path} ${version} `.repeat(400);

type Step =
  | {
      readonly kind: 'ask';
      readonly codings: string;
      readonly method: 'GET' | 'HEAD';
      readonly range: string | undefined;
      /** Ask whether what was seen so many answers ago still holds. */
      readonly since: number | undefined;
      readonly ifRange: boolean;
    }
  | { readonly kind: 'change'; readonly tagged: boolean; readonly packed: boolean }
  | { readonly kind: 'pass'; readonly time: '1s' | '61s' }
  | { readonly kind: 'purge'; readonly by: 'url' | 'tag' | 'site'; readonly mode: 'hard' | 'soft' };

const codings = fc.constantFrom(
  '',
  'gzip',
  'br',
  'zstd, gzip',
  'gzip;q=0.5, br;q=0.2',
  '*',
  'br;q=0, identity',
);
const ask = fc.record({
  kind: fc.constant('ask' as const),
  codings,
  method: fc.constantFrom('GET' as const, 'GET' as const, 'GET' as const, 'HEAD' as const),
  range: fc.option(fc.constantFrom('bytes=0-9', 'bytes=-5', 'bytes=20-'), {
    nil: undefined,
    freq: 5,
  }),
  since: fc.option(fc.nat(4), { nil: undefined, freq: 2 }),
  ifRange: fc.boolean(),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: ask },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('change' as const),
      tagged: fc.boolean(),
      packed: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('pass' as const),
      time: fc.constantFrom('1s' as const, '61s' as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('purge' as const),
      by: fc.constantFrom('url' as const, 'tag' as const, 'site' as const),
      mode: fc.constantFrom('hard' as const, 'soft' as const),
    }),
  },
);

/** One object's life: what it is at the origin, and what was seen of it. */
class Life {
  readonly #path: string;
  readonly #world: World;
  #version = 0;
  /** The earliest version that may still be served. */
  #floor = 0;
  readonly #seen: { readonly etag: string; readonly version: number }[] = [];
  /** Content by strong tag. */
  readonly #bodies = new Map<string, Buffer>();

  constructor(path: string, world: World) {
    this.#path = path;
    this.#world = world;
    this.#change({ tagged: true, packed: false });
  }

  async take(taken: Step): Promise<void> {
    const { clock, purge } = this.#world;
    // Changes are told apart by more than a moment.
    clock.advance('5ms');
    if (taken.kind === 'change') this.#change(taken);
    else if (taken.kind === 'ask') await this.#ask(taken);
    else if (taken.kind === 'pass') {
      clock.advance(taken.time);
      if (taken.time === '61s') this.#floor = this.#version;
    } else {
      purge(TARGETS[taken.by](this.#path), taken.mode);
      this.#floor = this.#version;
    }
  }

  #change({ tagged, packed }: { readonly tagged: boolean; readonly packed: boolean }): void {
    const version = ++this.#version;
    const text = textOf(this.#path, version);
    const script = {
      cacheControl: 'max-age=60',
      body: packed ? gzipSync(text) : text,
      ...(tagged && { etag: `"v${version}"` }),
      fields: {
        'Content-Type': 'text/plain',
        'Cache-Tag': `tag-${this.#path.slice(1)}`,
        ...(packed && { 'Content-Encoding': 'gzip', Vary: 'Accept-Encoding' }),
      },
    };
    this.#world.origin.answers(this.#path, script);
    this.#world.origin.answersTo(`HEAD ${this.#path}`, script);
  }

  async #ask(asked: Extract<Step, { kind: 'ask' }>): Promise<void> {
    const known = asked.since === undefined ? undefined : this.#seen.at(-1 - asked.since);
    const headers: Record<string, string> = { 'Accept-Encoding': asked.codings };
    if (asked.range !== undefined) headers['Range'] = asked.range;
    if (known !== undefined) {
      headers[asked.range !== undefined && asked.ifRange ? 'If-Range' : 'If-None-Match'] =
        known.etag;
    }
    const seen = await this.#world.edge().send(this.#path, { method: asked.method, headers });
    const { etag, vary, 'content-encoding': coding = 'identity' } = seen.headers;
    expect(vary).toMatch(/accept-encoding/i);
    if (seen.status === 304) {
      expect(this.#seen.find((one) => one.etag === known?.etag)?.version).toBeGreaterThanOrEqual(
        this.#floor,
      );
      return;
    }
    // This origin packs for everybody, which nobody can unpack a part of.
    if (seen.status === 206) return this.#part(seen);
    if (seen.status === 416) return;
    expect(acceptanceOf(asked.codings, CODINGS).accepted).toContain(coding);
    expect(seen.status).toBe(200);
    if (asked.method === 'HEAD') return;
    const version = this.#versionOf(seen, coding);
    expect(version).toBeGreaterThanOrEqual(this.#floor);
    if (etag === undefined) return;
    this.#seen.push({ etag, version });
    if (etag.startsWith('W/')) return;
    // RFC 9110 §8.8.1: a strong tag is of just these bytes.
    expect(seen.body.equals(this.#bodies.get(etag) ?? seen.body)).toBe(true);
    this.#bodies.set(etag, seen.body);
  }

  #part({ headers, body }: Seen): void {
    const { etag = '', 'content-range': range = '' } = headers;
    const [, start, end, size] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(range) ?? [];
    expect(body.length).toBe(Number(end) - Number(start) + 1);
    const whole = this.#bodies.get(etag);
    if (whole === undefined) return;
    expect(whole.length).toBe(Number(size));
    expect(whole.subarray(Number(start), Number(end) + 1).equals(body)).toBe(true);
  }

  /** Which of the versions it is, of which it has every byte. */
  #versionOf({ body }: Seen, coding: string): number {
    const text = (
      coding === 'identity' ? body : UNPACK[coding as keyof typeof UNPACK](body)
    ).toString();
    const version = Number(text.split(' ', 2)[1]);
    expect(text === textOf(this.#path, version)).toBe(true);
    return version;
  }
}

const TARGETS = {
  url: (path: string) => [path],
  tag: (path: string) => ({ kind: 'tags' as const, site: 'site', tags: [`tag-${path.slice(1)}`] }),
  site: () => 'everything' as const,
};

scenario(
  'whatever is asked of whatever has become of an object, what comes is one version of it, and none that was purged',
  { site: { compression: { enabled: true } } },
  async (world) => {
    let lives = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
        const life = new Life(`/${lives++}`, world);
        for (const taken of steps) await life.take(taken);
      }),
      { numRuns: 60 },
    );
  },
);
