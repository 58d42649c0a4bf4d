import { expect, test } from 'vitest';
import { logSettingsSchema } from '#core/contract/log.ts';
import {
  type LogContent,
  type Lines,
  LINES_BYTES,
  MAX_HANDED_OVER,
  ThreadLog,
} from '#core/telemetry/access-log/thread-log.ts';

const textOf = ({ memory, bytes }: Lines): string => Buffer.from(memory, 0, bytes).toString();

function opened(content: Partial<LogContent> = {}, random: () => number = () => 0.5) {
  const posted: Lines[] = [];
  const due: (() => void)[] = [];
  const log = new ThreadLog({
    content: { format: 'json', sample: 1, addresses: 'whole', mask: [], ...content },
    node: 'edge',
    post: (lines) => posted.push(lines),
    random,
    later: (callback) => due.push(callback),
  });
  const ask = (target: string, more: { referer?: string } = {}): void => {
    Object.assign(log.next(), { target, method: 'GET', timeMs: 1, ...more });
  };
  const targets = (): string[] =>
    posted
      .flatMap((lines) => textOf(lines).trimEnd().split('\n'))
      .map((line) => (JSON.parse(line) as { target: string }).target);
  return { log, posted, due, ask, targets };
}

const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `/${i}`);

test('requests become lines in their order, many at a time, when what is under way is dealt with', () => {
  const { log, posted, due, ask, targets } = opened();
  for (const name of names(1000)) ask(name);
  expect(due.length).toBeGreaterThan(1);
  expect(posted).toEqual([]);
  for (const callback of due) callback();
  log.flush();
  expect(posted).toHaveLength(1);
  expect(posted[0]?.count).toBe(1000);
  expect(targets()).toEqual(names(1000));
  log.flush();
  expect(posted).toHaveLength(1);
});

const long = (i: number): string => `/${i}/${'x'.repeat(4000)}`;

test('while nothing is written, so much is kept and the rest is dropped and counted; memory is used anew', () => {
  const { log, posted, ask, targets } = opened();
  for (let i = 0; i < 3000; i++) ask(long(i));
  log.flush();
  expect(posted).toHaveLength(MAX_HANDED_OVER);
  for (const { bytes, memory } of posted) {
    expect(memory.byteLength).toBe(LINES_BYTES);
    expect(bytes).toBeGreaterThan(LINES_BYTES - 5000);
  }
  const kept = posted.reduce((sum, { count }) => sum + count, 0);
  expect(kept + log.dropped).toBe(3000);
  expect(targets()).toEqual(Array.from({ length: kept }, (_, i) => long(i)));

  const [first] = posted.splice(0);
  log.returned(first?.memory as ArrayBuffer);
  ask('/again');
  log.flush();
  expect(targets()).toEqual(['/again']);
  expect(posted[0]?.memory).toBe(first?.memory);
});

test('masks parameters in target and referer, and says where the node is once that is known', () => {
  const { log, posted, ask } = opened({ mask: ['token'] });
  log.locate('oslo');
  ask('/a?token=secret', { referer: 'https://x.test/?token=secret' });
  log.flush();
  const text = textOf(posted[0] as Lines);
  expect(text).not.toContain('secret');
  expect(JSON.parse(text)).toMatchObject({
    location: 'oslo',
    target: '/a?token=***',
    referer: 'https://x.test/?token=***',
  });
});

const site = (of: object) => logSettingsSchema.parse(of);

test.each([
  ['all', 1, undefined, 200, 0.99, 1],
  ['none', 0, undefined, 200, 0, 0],
  ['by chance, in', 0.5, undefined, 200, 0.49, 0.5],
  ['by chance, out', 0.5, undefined, 200, 0.5, 0],
  ['the site asks for less', 1, site({ sample: 0.1 }), 200, 0.09, 0.1],
  ['both ask for less', 0.5, site({ sample: 0.5 }), 200, 0.3, 0],
  ['the site is not in the log', 1, site({ enabled: false }), 200, 0, 0],
  ['not even its errors', 1, site({ enabled: false }), 503, 0, 0],
  ['errors whatever the sample', 0, site({ sample: 0 }), 500, 0.99, 1],
  ['errors of no site', 0, undefined, 500, 0.99, 1],
  ['errors like others', 0, site({ errors: false }), 500, 0.99, 0],
  ['a mistake of the client is no error', 0, site({}), 404, 0, 0],
])('sampling: %s', (_title, sample, settings, status, random, expected) => {
  const { log } = opened({ sample }, () => random);
  expect(log.sampled(settings, status)).toBe(expected);
});

test.each([
  ['whole', undefined, '203.0.113.7'],
  ['whole', site({ truncateAddress: true }), '203.0.113.0'],
  ['truncated', site({}), '203.0.113.0'],
  ['none', site({}), ''],
] as const)('addresses %s, site %o: %s', (addresses, settings, expected) => {
  expect(opened({ addresses }).log.addressOf('203.0.113.7', settings)).toBe(expected);
});
