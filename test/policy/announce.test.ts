import { describe, expect, it, test } from 'vitest';
import { includeOf } from '#cli/announce/bird.ts';
import { verdictOfHealth, verdictOfObject } from '#cli/announce/check.ts';
import {
  type AnnounceRules,
  failed,
  heard,
  initial,
  left,
  type Standing,
  ticked,
} from '#cli/announce/decision.ts';
import { commandsOf } from '#cli/announce/exabgp.ts';

const RULES: AnnounceRules = { rise: 3, fall: 2, holdDownMs: 30_000, silentMs: 9_000 };

/**
 * What happens, a second after what happened before: `+` a good check, `-` a bad one, `d` the edge says
 * that it drains, `x` the checker dies, `s` the process is stopped; `.` ten seconds of silence.
 */
function after(events: string): Standing {
  let now = 0;
  let standing = initial(now);
  for (const event of events) {
    now += event === '.' ? 10_000 : 1000;
    standing = step(standing, event, now);
  }
  return standing;
}

function step(standing: Standing, event: string, now: number): Standing {
  switch (event) {
    case '+':
      return heard(standing, { kind: 'well' }, now, RULES);
    case '-':
      return heard(standing, { kind: 'unwell', reason: 'object-not-hit' }, now, RULES);
    case 'd':
      return heard(standing, { kind: 'leaving', reason: 'draining' }, now, RULES);
    case 'x':
      return failed(standing, 'checker-died', now, RULES);
    case 's':
      return left(standing, 'stopping', now);
    default:
      return ticked(standing, now, RULES);
  }
}

test.each([
  ['', false, 'starting'],
  ['++', false, 'rising'],
  ['+++', true, 'well'],
  ['++-++', false, 'rising'],
  ['++-+++', true, 'well'],
  ['---', false, 'object-not-hit'],
  ['+++-', true, 'well'],
  ['+++-+-+-+', true, 'well'],
  ['+++--', false, 'object-not-hit'],
  // What the edge says in time needs no second check, and holds nothing down.
  ['+++d', false, 'draining'],
  ['+++d++', false, 'rising'],
  ['+++d+++', true, 'well'],
  ['+++s', false, 'stopping'],
  // Nobody knows how the edge is.
  ['+++x', false, 'checker-died'],
  ['+++.', false, 'checker-silent'],
  ['.', false, 'starting'],
  // Held down for 30 s, however well it is.
  ['+++--+++', false, 'held-down'],
  [`+++--${'+'.repeat(29)}`, false, 'held-down'],
  [`+++--${'+'.repeat(30)}`, true, 'well'],
  [`+++x${'+'.repeat(29)}`, false, 'held-down'],
  // A failure while it is held down makes it rise anew.
  [`+++--${'+'.repeat(28)}-++`, false, 'rising'],
] as const)('after "%s" it is announced: %s, %s', (events, announced, reason) => {
  expect(after(events)).toMatchObject({ announced, reason });
});

test('who fails soon after each announcement is held down for longer, sixteen times at most', () => {
  let now = 0;
  let standing = initial(now);
  const holdDowns: number[] = [];
  const failAfter = (ms: number): void => {
    for (let n = 0; n < RULES.rise; n++) standing = heard(standing, { kind: 'well' }, now, RULES);
    expect(standing.announced).toBe(true);
    now += ms;
    standing = failed(standing, 'checker-died', now, RULES);
    holdDowns.push((standing.heldUntilMs - now) / RULES.holdDownMs);
    now = standing.heldUntilMs;
  };
  for (let n = 0; n < 7; n++) failAfter(1000);
  failAfter(10 * RULES.holdDownMs);
  failAfter(1000);
  expect(holdDowns).toEqual([1, 2, 4, 8, 16, 16, 16, 1, 1]);
});

describe('the verdict', () => {
  it.each([
    [[], 'well'],
    // It serves on by what it knows.
    [['control-plane-lost', 'lease-ended', 'config-refused'], 'well'],
    [['draining'], 'leaving'],
    [['overloaded', 'stopping'], 'leaving'],
    [['starting'], 'unwell'],
    [['overloaded'], 'unwell'],
    [['disk-failing'], 'unwell'],
    [['thread-silent'], 'unwell'],
  ] as const)('of an edge that says %j is %s', (reasons, kind) => {
    expect(verdictOfHealth(reasons)).toMatchObject({ kind });
  });

  it.each([
    [200, 'edge-oslo; hit; ttl=57; detail=fresh', 'well'],
    // RFC 9211 §2: the cache nearest to the client comes last.
    [200, 'mid-tier; hit, edge-oslo; fwd=uri-miss; stored', 'unwell'],
    [200, 'mid-tier; fwd=uri-miss; stored, edge-oslo; hit', 'well'],
    [200, '', 'unwell'],
    [200, ';;', 'unwell'],
    [503, 'edge-oslo; hit', 'unwell'],
  ])('of an object with %i and "%s" is %s', (status, cacheStatus, kind) => {
    expect(verdictOfObject(status, cacheStatus)).toMatchObject({ kind });
  });
});

test('ExaBGP is told a line for each prefix', () => {
  const options = {
    prefixes: ['192.0.2.0/24', '2001:db8::/48'],
    nextHop: 'self',
    communities: ['65000:100', '65000:200'],
  };
  expect(commandsOf(true, options)).toEqual([
    'announce route 192.0.2.0/24 next-hop self community [ 65000:100 65000:200 ]',
    'announce route 2001:db8::/48 next-hop self community [ 65000:100 65000:200 ]',
  ]);
  expect(commandsOf(false, options)).toEqual([
    'withdraw route 192.0.2.0/24 next-hop self',
    'withdraw route 2001:db8::/48 next-hop self',
  ]);
});

test('BIRD is given a protocol for each family, without routes while they are withdrawn', () => {
  const prefixes = ['192.0.2.0/24', '2001:db8::/48'];
  expect(includeOf(true, prefixes)).toContain('  ipv6;\n  route 2001:db8::/48 blackhole;\n}');
  expect(includeOf(false, prefixes)).not.toContain('route');
});
