import type { Socket } from 'node:net';
import { expect } from 'vitest';
import { RawOrigin } from './kit/raw.ts';
import { type Cast, scenario, type World } from './kit/scenario.ts';
import { inOrder } from './kit/threads.ts';
import { until } from './kit/until.ts';

// A mid-tier that lets requests wait is slow, or hangs: which, it is asked.

const TREE = { edges: ['oslo'], midTiers: ['frankfurt', 'london'] } satisfies Cast;
const fresh = { cacheControl: 'max-age=3600' };
const HEALTH = 'GET /.canopy/health';

/** Puts a server that a test drives in the place of frankfurt, the first parent of `targets`. */
async function asFrankfurt(
  { edge, publish }: World,
  does: (socket: Socket, request: string) => void,
  play: (frankfurt: RawOrigin, targets: readonly string[]) => Promise<void>,
): Promise<void> {
  const raw = await new RawOrigin(does).up();
  const location = { name: 'frankfurt', latitude: 0, longitude: 0 };
  const node = { name: 'frankfurt', tier: 'mid-tier' as const, location, url: raw.url };
  publish({ type: 'node.put', node: { ...node, capacity: 1, draining: false } });
  const targets = Array.from({ length: 40 }, (_, i) => `/${i}`);
  const isFirst = (target: string): boolean =>
    inOrder(target, edge(), TREE.midTiers)[0] === 'frankfurt';
  try {
    await play(raw, targets.filter(isFirst));
  } finally {
    await raw.down();
  }
}

const asked = ({ requests }: RawOrigin, what: string): number =>
  requests.filter((request) => request.startsWith(what)).length;

const says = (socket: Socket, fields: string, body: string): void =>
  void socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n${fields}\r\n${body}`);

scenario('a parent that hangs is left within half a second or so', TREE, (world) =>
  asFrankfurt(
    world,
    () => undefined,
    async (frankfurt, [a = '', b = '']) => {
      const { origin, edge, clock } = world;
      for (const target of [a, b]) origin.answers(target, { ...fresh, body: target });
      const waiting = edge().get(a);
      await until(() => asked(frankfurt, `GET ${a}`) === 1);
      clock.advance('299ms');
      const late = edge().get(b);
      await until(() => asked(frankfurt, `GET ${b}`) === 1);
      expect(asked(frankfurt, HEALTH)).toBe(0);
      clock.advance('1ms');
      await until(() => asked(frankfurt, HEALTH) === 1);
      clock.advance('500ms');
      for (const [sight, body] of [
        [waiting, a],
        [late, b],
      ] as const) {
        const seen = await sight.sees({ status: 200, body, midTier: 'uri-miss' });
        expect(seen.tiers.at(-1)?.parameters['tried']).toBe('"down"');
      }
      expect(edge().node.parents()).toEqual([{ name: 'frankfurt', standing: 'open' }]);
      origin.saw(`GET ${a}`, `GET ${b}`);
    },
  ),
);

scenario('it is asked nothing more until its backoff is over', TREE, (world) =>
  asFrankfurt(
    world,
    () => undefined,
    async (frankfurt, [a = '', b = '', c = '']) => {
      const { origin, edge, clock } = world;
      for (const target of [a, b, c]) origin.answers(target, { ...fresh, body: target });
      const hangs = async (target: string): Promise<void> => {
        const sight = edge().get(target);
        const before = asked(frankfurt, HEALTH);
        await until(() => asked(frankfurt, `GET ${target}`) === 1);
        clock.advance('300ms');
        await until(() => asked(frankfurt, HEALTH) === before + 1);
        clock.advance('500ms');
        await sight.sees({ status: 200, body: target });
      };
      await hangs(a);
      await edge().get(b).sees({ status: 200, body: b });
      expect(asked(frankfurt, `GET ${b}`)).toBe(0);
      clock.advance('501ms');
      // The trial.
      await hangs(c);
      expect(edge().node.parents()).toEqual([{ name: 'frankfurt', standing: 'open' }]);
    },
  ),
);

scenario('a parent that waits for a slow origin is waited for', TREE, async (world) => {
  const answer: { socket?: Socket } = {};
  await asFrankfurt(
    world,
    (socket, request) => {
      if (request.startsWith(HEALTH)) says(socket, '', 'ok');
      else answer.socket = socket;
    },
    async (frankfurt, [a = '']) => {
      const { origin, edge, clock } = world;
      const waiting = edge().get(a);
      await until(() => asked(frankfurt, `GET ${a}`) === 1);
      for (const [probe, after] of ['300ms', '1s', '1s'].entries()) {
        clock.advance(after as '1s');
        await until(() => asked(frankfurt, HEALTH) === probe + 1);
        // The edge has its answer, and closes.
        await until(() => frankfurt.connections === 1);
      }
      if (answer.socket !== undefined) says(answer.socket, 'Cache-Control: no-store\r\n', 'late');
      await waiting.sees({ status: 200, body: 'late' });
      expect(edge().node.parents()).toEqual([]);
      origin.saw();
    },
  );
});

scenario('one that answers others is not asked whether it is well', TREE, (world) =>
  asFrankfurt(
    world,
    (socket, request) => {
      if (request.startsWith('GET /quick')) says(socket, 'Cache-Control: no-store\r\n', 'quick');
    },
    async (frankfurt, [a = '']) => {
      const { edge, clock } = world;
      const quick = Array.from({ length: 40 }, (_, i) => `/quick-${i}`).filter(
        (target) => inOrder(target, edge(), TREE.midTiers)[0] === 'frankfurt',
      );
      world.origin.answers(a, { ...fresh, body: a });
      const waiting = edge().get(a);
      await until(() => asked(frankfurt, `GET ${a}`) === 1);
      for (const target of quick.slice(0, 8)) {
        clock.advance('200ms');
        await edge().get(target).sees({ status: 200, body: 'quick' });
      }
      expect(asked(frankfurt, HEALTH)).toBe(0);
      clock.advance('300ms');
      await until(() => asked(frankfurt, HEALTH) === 1);
      clock.advance('500ms');
      await waiting.sees({ status: 200, body: a });
    },
  ),
);

scenario('a body whose parent hangs in the middle goes on from the next', TREE, (world) => {
  const body = 'abcdefghij'.repeat(1000);
  return asFrankfurt(
    world,
    (socket, request) => {
      if (request.startsWith(HEALTH)) return;
      const head = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\nETag: "1"\r\n\r\n`;
      socket.write(head + body.slice(0, 4000));
    },
    async (frankfurt, [a = '']) => {
      const { origin, edge, clock, changeSite } = world;
      origin.answers(a, { ...fresh, etag: '"1"', body });
      // Nothing else would end the wait.
      changeSite({ upstream: { idleTimeoutMs: 600_000, firstByteTimeoutMs: 600_000 } });
      let isThere = false;
      const reading = edge().get(a);
      void reading.then(() => {
        isThere = true;
      });
      await until(() => asked(frankfurt, `GET ${a}`) === 1);
      await until(() => {
        clock.advance('10ms');
        return isThere;
      });
      await reading.sees({ status: 200, body });
    },
  );
});
