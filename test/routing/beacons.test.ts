import { describe, expect, it } from 'vitest';
import { embeddedCountries } from '#core/geography/embedded.ts';
import { measured, openToken } from '#core/latency/measuring.ts';
import { seal, sealKeysOf } from '#core/latency/seal.ts';
import { Geography } from '#control-plane/routing/geography/geography.ts';
import { Beacons } from '#control-plane/routing/latency/beacons.ts';
import { FakeClock } from '#test/scenario/kit/clock.ts';
import { configOf } from './dns-kit.ts';
import { prefix } from './kit.ts';

/** A British network, as the registries know. */
const HOME = '81.2.69.160';
const NETWORK = '81.2.69.0/24';

function parts() {
  const clock = new FakeClock();
  const config = configOf();
  const geography = new Geography([embeddedCountries()]);
  const beacons = new Beacons({ clock, geography, config: () => config });
  const keys = sealKeysOf(config.network);
  /** What the edge gives a client whose round trips to it take so long. */
  const receipt = (token: string, roundTripMs: number, edge = 'oslo', address = HOME): string => {
    const opened = openToken(keys, token, address, clock.now());
    const { echo } = measured(keys, edge, opened, undefined, 1_000_000);
    return measured(keys, edge, opened, echo, 1_000_000 + roundTripMs).receipt ?? '';
  };
  const beacon = (token: string, ...receipts: string[]) =>
    beacons.accept(prefix(HOME), { token, receipts });
  return {
    clock,
    config,
    keys,
    beacons,
    receipt,
    beacon,
    token: () => beacons.token(prefix(HOME)),
  };
}

const code = (of: () => unknown): unknown => {
  try {
    of();
    return 'accepted';
  } catch (error) {
    return (error as { code?: string }).code;
  }
};

describe('a beacon', () => {
  it('tells what the edges have seen of the client’s network, the fastest of each edge', () => {
    const { beacon, receipt, token, beacons } = parts();
    const own = token();
    const receipts = [receipt(own, 40), receipt(own, 38.26), receipt(own, 70, 'tokyo')];
    expect(beacon(own, ...receipts)).toEqual([
      { network: NETWORK, country: 'GB', edge: 'oslo', roundTripMs: 38.3 },
      { network: NETWORK, country: 'GB', edge: 'tokyo', roundTripMs: 70 },
    ]);
    expect([...beacons.results]).toEqual([['accepted', 1]]);
  });

  it('speaks for no other network', () => {
    const { beacons, receipt, token } = parts();
    const own = token();
    const stolen = { token: own, receipts: [receipt(own, 40)] };
    expect(code(() => beacons.accept(prefix('81.2.70.1'), stolen))).toBe('forbidden');
    expect(code(() => receipt(own, 40, 'oslo', '81.2.70.1'))).toBe('forbidden');
    expect(code(() => receipt(own, 40, 'oslo', '81.2.69.1'))).toBe('accepted');
    expect(code(() => receipt(own, 40, 'oslo', '::ffff:81.2.69.1'))).toBe('accepted');
  });

  it('counts once, and for ten minutes', () => {
    const { beacon, receipt, token, clock } = parts();
    const [own, late] = [token(), token()];
    const [first, other] = [receipt(own, 40), receipt(late, 40)];
    expect(code(() => beacon(own, first))).toBe('accepted');
    expect(code(() => beacon(own, first))).toBe('forbidden');
    clock.advance('10m');
    expect(code(() => beacon(late, other))).toBe('forbidden');
  });

  it('is not believed where it is forged', () => {
    const { beacon, receipt, token, keys } = parts();
    const [own, other] = [token(), token()];
    const good = receipt(own, 40);
    const [body = '', mac = ''] = good.split('.');
    const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as object;
    const nearer = Buffer.from(JSON.stringify({ ...claims, roundTripMs: 1 })).toString('base64url');
    const foreign = sealKeysOf({ tierKey: 'fedcba9876543210' });
    for (const forged of [
      `${nearer}.${mac}`,
      seal(foreign, 'receipt', claims),
      seal(keys, 'echo', claims),
      receipt(other, 40),
      body,
      '',
      'x'.repeat(1024),
    ]) {
      expect(code(() => beacon(own, forged))).toBe('forbidden');
    }
    expect(code(() => beacon(good, good))).toBe('forbidden');
    expect(code(() => beacon(own))).toBe('invalid-input');
    // Nothing of that has used up the token.
    expect(code(() => beacon(own, good))).toBe('accepted');
  });

  it('is refused where it would be faster than light', () => {
    const { beacon, receipt, token } = parts();
    const own = token();
    expect(code(() => beacon(own, receipt(own, 40, 'tokyo')))).toBe('forbidden');
    // From Britain to Tokyo and back, less what nobody knows of where a Briton is: 57 ms.
    expect(code(() => beacon(own, receipt(own, 60, 'tokyo')))).toBe('accepted');
  });

  it('says nothing of edges that are no longer there', () => {
    const { beacon, receipt, token } = parts();
    const own = token();
    expect(beacon(own, receipt(own, 40, 'gone'))).toEqual([]);
  });

  it('is one of few that a network may send', () => {
    const { beacon, receipt, token, clock } = parts();
    const send = () => {
      const own = token();
      return code(() => beacon(own, receipt(own, 40)));
    };
    const answers = Array.from({ length: 30 }, send);
    expect(answers.filter((one) => one === 'accepted').length).toBe(20);
    expect(answers.at(-1)).toBe('too-many-requests');
    clock.advance('5s');
    expect(send()).toBe('accepted');
  });

  it('is read while the tier key is being rotated', () => {
    const { keys } = parts();
    const rotated = sealKeysOf({
      tierKey: 'fedcba9876543210',
      previousTierKey: '0123456789abcdef',
    });
    const token = seal(keys, 'token', { id: 'a', network: NETWORK, until: 1 });
    expect(openToken(rotated, token, HOME, 0).id).toBe('a');
  });
});

describe('an edge’s echo', () => {
  it('is taken by no other edge, for no other token, and not when it is too old', () => {
    const { keys } = parts();
    const token = { id: 'a', network: NETWORK, until: 1 };
    const { echo } = measured(keys, 'oslo', token, undefined, 1000);
    expect(code(() => measured(keys, 'rome', token, echo, 1010))).toBe('forbidden');
    expect(code(() => measured(keys, 'oslo', { ...token, id: 'b' }, echo, 1010))).toBe('forbidden');
    expect(measured(keys, 'oslo', token, echo, 1012.34).roundTripMs).toBe(12.3);
    expect(measured(keys, 'oslo', token, echo, 9000).receipt).toBeUndefined();
    expect(measured(keys, 'oslo', token, echo, 900).receipt).toBeUndefined();
  });
});
