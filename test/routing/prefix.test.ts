import { isIP } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addressText,
  halvesOf,
  parseAddress,
  parsePrefix,
  prefixText,
  shortened,
  siblingOf,
} from '#control-plane/routing/engine/prefix.ts';
import { PrefixTable } from '#control-plane/routing/engine/prefix-table.ts';
import { prefix } from './kit.ts';

describe('parseAddress', () => {
  it('takes what node:net takes, without zones', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.ipV4(),
          fc.ipV6(),
          fc.ipV4Extended(),
          fc.string(),
          fc.stringMatching(/^[0-9a-f:.]{0,20}$/),
        ),
        (text) => {
          expect(parseAddress(text) !== undefined).toBe(isIP(text) !== 0 && !text.includes('%'));
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('writes IPv6 as RFC 5952 wants it', () => {
    fc.assert(
      fc.property(fc.ipV6(), (text) => {
        const parsed = parseAddress(text);
        if (parsed?.family !== 6) return;
        const canonical = new URL(`http://[${text}]/`).hostname.slice(1, -1);
        expect(addressText(parsed)).toBe(canonical);
      }),
    );
  });

  it.each([
    ['::ffff:192.0.2.1', '192.0.2.1/32'],
    ['2001:DB8::1', '2001:db8::1/128'],
    ['192.0.2.255', '192.0.2.255/32'],
  ])('reads %s as %s', (text, meant) => {
    const parsed = parseAddress(text);
    expect(parsed && prefixText(parsed)).toBe(meant);
  });
});

describe('parsePrefix', () => {
  it.each([
    ['192.0.2.77/24', '192.0.2.0/24'],
    ['2001:db8:ffff::/33', '2001:db8:8000::/33'],
    ['0.0.0.0/0', '0.0.0.0/0'],
  ])('reads %s as %s', (text, meant) => {
    expect(prefixText(prefix(text))).toBe(meant);
  });

  it.each([
    '192.0.2.0/33',
    '192.0.2.0/',
    '192.0.2.0/-1',
    '192.0.2/24',
    '::/129',
    'a/8',
    '1.1.1.1/8/8',
  ])('refuses %s', (text) => {
    expect(parsePrefix(text)).toBeUndefined();
  });
});

describe('a network', () => {
  it('is its halves, which are one another’s sibling', () => {
    for (const text of ['10.0.0.0/8', '10.128.0.0/9', '2001:db8::/47', '0.0.0.0/0']) {
      const [lower, upper] = halvesOf(prefix(text));
      expect(prefixText(siblingOf(lower))).toBe(prefixText(upper));
      expect(prefixText(siblingOf(upper))).toBe(prefixText(lower));
      expect(prefixText(shortened(upper, upper.length - 1))).toBe(text);
    }
  });
});

const network = fc
  .tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 }))
  .map(([address, length]) => prefix(`${address}/${length}`));

describe('PrefixTable', () => {
  it('finds what a scan finds, and tells truly how many bits decide', () => {
    fc.assert(
      fc.property(
        fc.array(network, { maxLength: 20 }),
        fc.ipV4(),
        fc.ipV4(),
        (list, one, other) => {
          const table = new PrefixTable(list.map((entry) => [entry, prefixText(entry)] as const));
          const holding = (text: string) =>
            list
              .filter(
                (entry) => prefixText(shortened(prefix(text), entry.length)) === prefixText(entry),
              )
              .map(prefixText)
              .toSorted();
          const found = table.match(prefix(one));
          expect([...found.values].toSorted()).toEqual(holding(one));
          const shared = prefixText(shortened(prefix(one), found.length));
          const isAlike = prefixText(shortened(prefix(other), found.length)) === shared;
          expect(!isAlike || isDeepStrictEqual(holding(other), holding(one))).toBe(true);
        },
      ),
      { numRuns: 500 },
    );
  });
});
