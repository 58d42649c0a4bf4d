import { describe, expect, it } from 'vitest';
import { nodeSchema } from '#core/contract/node.ts';
import type { NodeStanding } from '#core/contract/standing.ts';
import { embeddedCountries } from '#core/geography/embedded.ts';
import { Geography } from '#control-plane/routing/geography/geography.ts';
import { OwnUse, usedPart } from '#core/node/used-part.ts';
import { RouterView } from '#control-plane/routing/view/view.ts';
import { LOAD } from '#test/control-plane/kit.ts';
import { FakeClock } from '#test/scenario/kit/clock.ts';
import { type Changes, configOf, edgeNode } from './dns-kit.ts';

function viewOf(changes?: Changes) {
  const clock = new FakeClock();
  const view = new RouterView({ clock, geography: new Geography([embeddedCountries()]) });
  view.configure(configOf(changes));
  return { clock, view };
}

const standing = (name: string, inService = true, requests?: number, at = 0): NodeStanding => ({
  name,
  inService,
  last: requests === undefined ? null : { at, load: { ...LOAD, requests } },
  missingCertificates: [],
  ailments: [],
});

const conditionOf = (view: RouterView, name: string) =>
  view.candidates.find((candidate) => candidate.name === name)?.condition;

const FILM = { routing: { edges: [] as string[], ttlSeconds: 30, troubleTtlSeconds: 5 } };
const film = (edges: string[] = []) =>
  ({ routing: { ...FILM.routing, edges } }) as unknown as Parameters<RouterView['ttlSeconds']>[0];

describe('RouterView', () => {
  it('has an edge down while the checks say so', () => {
    const { view } = viewOf();
    expect(conditionOf(view, 'oslo')).toBe('well');
    view.checked(['oslo']);
    expect(conditionOf(view, 'oslo')).toBe('down');
    view.checked([]);
    expect(conditionOf(view, 'oslo')).toBe('well');
  });

  it('goes by the control plane’s word for five seconds, then by the checks alone', () => {
    const { clock, view } = viewOf();
    view.heard([standing('oslo', false), standing('rome')]);
    expect(conditionOf(view, 'oslo')).toBe('unreported');
    expect(conditionOf(view, 'rome')).toBe('well');
    expect(conditionOf(view, 'lisbon')).toBe('well');
    clock.advance('5s');
    view.refresh();
    expect(conditionOf(view, 'oslo')).toBe('unreported');
    clock.advance('1ms');
    view.refresh();
    expect(conditionOf(view, 'oslo')).toBe('well');
  });

  it('takes an edge for ailing that says so, while the control plane tells of it', () => {
    const { clock, view } = viewOf();
    view.heard([{ ...standing('oslo'), ailments: ['disk-failing'] }, standing('rome')]);
    expect(conditionOf(view, 'oslo')).toBe('ailing');
    expect(conditionOf(view, 'rome')).toBe('well');
    clock.advance('6s');
    view.refresh();
    expect(conditionOf(view, 'oslo')).toBe('well');
  });

  it('knows which sites want a certificate that an edge cannot get', () => {
    const { clock } = viewOf();
    const view = new RouterView({ clock, geography: new Geography([embeddedCountries()]) });
    const entry = { site: null, notAfter: 1, fingerprint: 'f'.repeat(64) };
    view.configure({
      ...configOf({ sites: [{ name: 'news', hosts: ['n.example'], origin: { kind: 'push' } }] }),
      certificates: [{ ...entry, name: 'one', names: ['www.film.example', 'other.example'] }],
    });
    const lacking = (): unknown =>
      view.candidates.map(({ name, uncertified }) => [name, uncertified]);
    view.heard([{ ...standing('oslo'), missingCertificates: ['one', 'gone'] }]);
    expect(lacking()).toContainEqual(['oslo', new Set(['film'])]);
    expect(lacking()).toContainEqual(['rome', undefined]);
    view.heard([standing('oslo')]);
    expect(lacking()).toContainEqual(['oslo', undefined]);
  });

  it('takes an edge that drains for draining, at once', () => {
    const { view } = viewOf({ nodes: [{ ...edgeNode('oslo'), draining: true }, edgeNode('rome')] });
    expect(conditionOf(view, 'oslo')).toBe('draining');
  });

  it('shortens TTLs for a minute after an edge has changed, of the sites that it may serve', () => {
    const { clock, view } = viewOf();
    expect(view.ttlSeconds(film())).toBe(30);
    view.checked(['oslo']);
    expect(view.ttlSeconds(film())).toBe(5);
    expect(view.ttlSeconds(film(['oslo', 'rome']))).toBe(5);
    expect(view.ttlSeconds(film(['rome']))).toBe(30);
    clock.advance('60s');
    expect(view.ttlSeconds(film())).toBe(30);
  });

  it('decides anew when an edge changes', () => {
    const { view } = viewOf();
    const first = () => {
      const { source } = view;
      const site = view.sites.byName('film');
      if (source === undefined || site === undefined) throw new Error('no configuration');
      const address = { family: 4 as const, bytes: Uint8Array.of(81, 2, 69, 160), length: 32 };
      return source.choose(site, address, 4).chosen[0]?.name;
    };
    expect(first()).toBe('oslo');
    view.checked(['oslo']);
    expect(first()).not.toBe('oslo');
    view.checked([]);
    expect(first()).toBe('oslo');
  });

  it('sheds by degrees what an edge reports beyond its limits', () => {
    const limits = { requestsPerSecond: 100 };
    const { view } = viewOf({ nodes: [{ ...edgeNode('oslo'), limits }, edgeNode('rome')] });
    const shed = () => view.candidates.find(({ name }) => name === 'oslo')?.shed;
    view.heard([standing('oslo', true, 0, 0)]);
    view.heard([standing('oslo', true, 300, 2000)]);
    expect(shed()).toBe(0.05);
    // The same report again says nothing new.
    view.heard([standing('oslo', true, 300, 2000)]);
    expect(shed()).toBe(0.05);
    view.heard([standing('oslo', true, 600, 4000)]);
    expect(shed()).toBe(0.1);
    // A restart counts from zero.
    view.heard([standing('oslo', true, 10, 6000)]);
    expect(shed()).toBe(0.1);
    view.heard([standing('oslo', true, 12, 8000)]);
    expect(shed()).toBe(0.05);
  });

  it('has the hosts of sites in the zones', () => {
    const { view } = viewOf({ sites: [{ name: 'any', hosts: ['*'], origin: { kind: 'push' } }] });
    expect(view.sites.byHost('film.cdn.example')?.name).toBe('film');
    expect(view.sites.byHost('oslo.film.cdn.example')?.name).toBe('film');
    expect(view.sites.byHost('www.film.example')?.name).toBe('film');
    expect(view.sites.byHost('other.example')?.name).toBe('any');
    expect(view.isClaimed('www.film.example')).toBe(true);
    expect(view.isClaimed('other.example')).toBe(false);
  });
});

const limits = (text: object) => nodeSchema.shape.limits.parse(text);

describe('usedPart', () => {
  const from = { at: 0, load: { ...LOAD, requests: 0, bytesSent: 0 } };
  const to = { at: 2000, load: { ...LOAD, requests: 100, bytesSent: 5_000_000, connections: 30 } };
  it.each([
    [{ requestsPerSecond: 100 }, 0.5],
    [{ megabitsPerSecond: 40 }, 0.5],
    [{ connections: 60 }, 0.5],
    [{ requestsPerSecond: 100, megabitsPerSecond: 20 }, 1],
    [{}, 0],
  ])('of %j is %s', (text, used) => {
    expect(usedPart(limits(text), from, to)).toBe(used);
  });

  it('is unknown after a restart, or a clock set back', () => {
    expect(usedPart(limits({ connections: 1 }), to, from)).toBeUndefined();
    expect(usedPart(limits({ connections: 1 }), to, { ...from, at: 4000 })).toBeUndefined();
    expect(usedPart(undefined, from, to)).toBe(0);
  });
});

describe('OwnUse', () => {
  it('is reckoned over five seconds at least, however often it is asked', () => {
    const clock = new FakeClock();
    let load = { ...LOAD, requests: 0, bytesSent: 0, connections: 8 };
    const use = new OwnUse(clock, () => load);
    const some = limits({ requestsPerSecond: 100, connections: 16 });
    expect(use.part(some)).toBe(0.5);
    expect(use.part(undefined)).toBe(0);
    clock.advance('4s');
    load = { ...load, requests: 4000 };
    expect(use.part(some)).toBe(0.5);
    clock.advance('1s');
    expect(use.part(some)).toBe(8);
    clock.advance('4s');
    expect(use.part(some)).toBeCloseTo(40 / 9);
    clock.advance('1s');
    expect(use.part(some)).toBe(0.5);
  });
});
