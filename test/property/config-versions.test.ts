import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type ConfigVersion,
  deltasBetween,
  siteChangeOfDeltas,
  sitesAt,
  undone,
} from '#control-plane/config/version.ts';
import { type Site, siteSchema } from '#core/contract/site.ts';
import { changeSites } from '#core/node/config.ts';

const site = (name: string, host: string): Site =>
  siteSchema.parse({ name, hosts: [host], origin: { kind: 'push' } });

/** Sites of few names and few settings, so that they meet. */
const sitesArbitrary = fc
  .dictionary(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('one.example', 'two.example'))
  .map((hosts) =>
    Object.keys(hosts)
      .toSorted()
      .map((name) => site(name, hosts[name] ?? '')),
  );

test('what leads from some sites to others does so, and undone leads back', () => {
  fc.assert(
    fc.property(sitesArbitrary, sitesArbitrary, (from, to) => {
      const deltas = deltasBetween(from, to);
      expect(changeSites(from, siteChangeOfDeltas(deltas))).toEqual(to);
      expect(changeSites(to, siteChangeOfDeltas(undone(deltas)))).toEqual(from);
    }),
  );
});

test('the sites of every version are found from those of today', () => {
  const step = fc.record({ wanted: sitesArbitrary, isAborted: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
      const versions: ConfigVersion[] = [];
      const history: (readonly Site[])[] = [[]];
      let present: readonly Site[] = [];
      for (const [i, { wanted, isAborted }] of steps.entries()) {
        versions.unshift({
          number: i + 1,
          author: 'a',
          reason: null,
          createdAt: 0,
          rollbackTo: null,
          deltas: deltasBetween(present, wanted),
          canary: isAborted ? ['edge'] : null,
          sequence: i + 2,
          appliedSequence: isAborted ? null : i + 2,
          status: isAborted ? 'aborted' : 'complete',
          onRefusal: 'rollback',
          refusals: [],
        });
        if (!isAborted) present = wanted;
        history.push(present);
      }
      const today = { sites: present, sequence: steps.length + 1 };
      for (const [number, sites] of history.entries()) {
        expect(sitesAt(today, versions, number)).toEqual(sites);
      }
    }),
  );
});
