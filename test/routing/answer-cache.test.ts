import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { embeddedCountries } from '#core/geography/embedded.ts';
import { AnswerCache } from '#control-plane/routing/dns/answer-cache.ts';
import { Outline } from '#control-plane/routing/dns/outline.ts';
import { Cookies } from '#control-plane/routing/dns/cookies.ts';
import { DnsCounters } from '#control-plane/routing/dns/counters.ts';
import { RateLimit } from '#control-plane/routing/dns/rate-limit.ts';
import { Responder } from '#control-plane/routing/dns/responder.ts';
import { Geography } from '#control-plane/routing/geography/geography.ts';
import { RouterView } from '#control-plane/routing/view/view.ts';
import { seededRandom } from '#bench/random.ts';
import { FakeClock } from '#test/scenario/kit/clock.ts';
import { configOf } from './dns-kit.ts';

const PEER = '192.0.2.1';
const NSID = Buffer.from([0, 3, 0, 0]);
const cookie = (...server: readonly number[]): Buffer =>
  Buffer.from([0, 10, 0, 8 + server.length, ...Array.from({ length: 8 }, (_, i) => i), ...server]);

function responder(perSecond = 0) {
  const clock = new FakeClock();
  const view = new RouterView({ clock, geography: new Geography([embeddedCountries()]) });
  view.configure(configOf());
  const counters = new DnsCounters();
  const cookies = new Cookies(Buffer.alloc(16, 7));
  const made = new Responder({
    clock,
    source: () => view.source,
    cookies: () => cookies,
    rateLimit: new RateLimit(perSecond),
    counters,
    name: 'router-1',
    onError: (message) => expect.fail(message),
  });
  const ask = (message: Buffer, peer = PEER) => made.respond(message, peer, 'udp');
  return { view, clock, counters, ask };
}

interface Asked {
  readonly id?: number;
  readonly name: string;
  readonly type?: number;
  /** Bytes of a client subnet option's network, /24. */
  readonly network?: readonly number[];
  readonly more?: Buffer;
}

function query({ id = 1, name, type = 1, network = [81, 2, 69], more = Buffer.alloc(0) }: Asked) {
  const labels = name.split('.').map((label) => [label.length, ...Buffer.from(label)]);
  const subnet = [0, 8, 0, 4 + network.length, 0, 1, 8 * network.length, 0, ...network];
  const options = Buffer.concat([Buffer.from(subnet), more]);
  const head = [id >> 8, id & 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
  const opt = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, options.length];
  return Buffer.from([...head, ...labels.flat(), 0, 0, type, 0, 1, ...opt, ...options]);
}

/** Without its OPT record. */
function plain(message: Buffer): Buffer {
  const bare = Buffer.from(message.subarray(0, 12 + 18 + 4));
  bare[11] = 0;
  return bare;
}

const FILM = { name: 'film.cdn.example' };

/** As long as any, and told from the others by its bytes. */
const messageOf = (i: number): Buffer => {
  const message = Buffer.alloc(24 + ((i * 2654435761) % 4000), i & 0xff);
  message[2] = 0;
  message[3] = 0;
  return message;
};

describe('answers that are sent again', () => {
  it('are what a responder says that has not been asked before, byte for byte', () => {
    const warm = responder();
    const name = fc
      .constantFrom('film.cdn.example', 'none.cdn.example', 'alias.cdn.example', 'elsewhere.test')
      .chain((text) =>
        fc.array(fc.boolean(), { minLength: text.length, maxLength: text.length }).map((upper) =>
          text
            .split('')
            .map((c, i) => (upper[i] === true ? c.toUpperCase() : c))
            .join(''),
        ),
      );
    const network = fc.constantFrom([81, 2, 69], [133, 11, 0], [65, 90, 97], [97, 122, 65], []);
    const more = fc.constantFrom(
      Buffer.alloc(0),
      NSID,
      cookie(),
      Buffer.concat([cookie(...Array.from({ length: 16 }, () => 1)), NSID]),
      Buffer.concat([NSID, cookie()]),
      Buffer.concat([cookie(), cookie()]),
      cookie(1),
    );
    const peer = fc.constantFrom(PEER, '198.51.100.7', '2001:db8::1');
    const type = fc.constantFrom(1, 28, 65, 16, 255);
    const asked = fc.record({ id: fc.nat(0xffff), name, type, network, more });
    fc.assert(
      fc.property(asked, peer, (one, from) => {
        const message = query(one);
        const expected = responder().ask(message, from);
        expect(warm.ask(message, from)).toEqual(expected);
        expect(warm.ask(message, from)).toEqual(expected);
      }),
      { numRuns: 100 },
    );
  });

  it('are forgotten when an edge changes', () => {
    const { ask, view } = responder();
    const before = ask(query(FILM));
    view.checked(['oslo']);
    const after = ask(query(FILM));
    expect(before?.includes(Buffer.from([198, 18, 0, 1]))).toBe(true);
    expect(after?.includes(Buffer.from([198, 18, 0, 1]))).toBe(false);
    view.configure(configOf({ nodes: [] }));
    expect(ask(query(FILM))).not.toEqual(after);
  });

  it('have the longer TTL again a minute after the trouble', () => {
    const { ask, view, clock } = responder();
    const usual = ask(query(FILM));
    view.checked(['tokyo']);
    expect(ask(query(FILM))).not.toEqual(usual);
    clock.advance('2m');
    expect(ask(query(FILM))).toEqual(usual);
  });

  it('count, and the rate limit counts them', () => {
    const { ask, counters } = responder(3);
    const lengths = Array.from({ length: 6 }, () => ask(query(FILM))?.length ?? 0);
    expect(lengths.filter((length) => length > 0)).toHaveLength(4);
    expect(counters).toMatchObject({ total: 6, dropped: 2, slipped: 1 });
  });

  it('are for one sender, where no network is told', () => {
    const { ask } = responder();
    const of = (peer: string) =>
      ask(plain(query(FILM)), peer)
        ?.subarray(-4)
        .join('.');
    const peers = ['81.2.69.1', '133.11.0.1', '3.5.0.1'];
    const expected = peers.map((peer) =>
      responder()
        .ask(plain(query(FILM)), peer)
        ?.subarray(-4)
        .join('.'),
    );
    expect(new Set(expected).size).toBeGreaterThan(1);
    expect(peers.map(of)).toEqual(expected);
    expect(peers.map(of)).toEqual(expected);
  });

  it('give way to later ones, the oldest first, and none is ever taken for another', () => {
    const cache = new AnswerCache();
    const outline = new Outline();
    const source = {};
    const random = seededRandom(5);
    const find = (i: number): boolean => {
      const message = query({ ...FILM, network: [i >> 16, (i >> 8) & 255, i & 255] });
      expect(outline.read(message)).toBe(true);
      return cache.find(outline, message, PEER, source, 0);
    };
    const told = (i: number): boolean => {
      const message = query({ ...FILM, network: [i >> 16, (i >> 8) & 255, i & 255] });
      return cache.readdressed(message, 12, 0).subarray(2).equals(messageOf(i).subarray(2));
    };
    const [count, wrong] = [30_000, [] as number[]];
    for (let i = 0; i < count; i++) {
      // Twice as much as there is room for, and more.
      if (!find(i)) cache.keep(messageOf(i), i & 7, 22, 0);
      const before = Math.floor(random() * (i + 1));
      if (find(before) && !(told(before) && cache.place === (before & 7))) wrong.push(before);
    }
    expect(wrong).toEqual([]);
    expect([find(0), find(count - 1)]).toEqual([false, true]);
    // Of another source, all are new.
    expect(cache.find(outline, query(FILM), PEER, {}, 0)).toBe(false);
    expect(find(count - 1)).toBe(false);
  });

  it.each([
    ['a client subnet alone', query(FILM), true],
    ['other options beside it', query({ ...FILM, more: NSID }), true],
    ['a cookie', query({ ...FILM, more: cookie() }), true],
    ['two cookies', query({ ...FILM, more: Buffer.concat([cookie(), cookie()]) }), false],
    ['a cookie that is cut off', query({ ...FILM, more: cookie().subarray(0, 7) }), false],
    ['a subnet without a prefix', query({ ...FILM, network: [] }), true],
    ['no EDNS', plain(query(FILM)), true],
    ['a query for something else', Buffer.concat([plain(query(FILM)), Buffer.of(0)]), false],
    ['an answer', Buffer.from(query(FILM)).fill(0x80, 2, 3), false],
    ['nothing but a header', query(FILM).subarray(0, 12), false],
    ['a name that is cut off', query(FILM).subarray(0, 20), false],
    ['bytes behind', Buffer.concat([query(FILM), Buffer.of(0)]), false],
  ])('are those to %s: %s', (_, message, isOne) => {
    expect(new Outline().read(message)).toBe(isOne);
  });
});
