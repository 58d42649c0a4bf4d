import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { request } from 'undici';
import { expect, onTestFinished, test } from 'vitest';
import type { Cancel } from '#core/clock.ts';
import { embeddedCountries } from '#core/geography/embedded.ts';
import { TrustedProxies } from '#core/serving/client-address.ts';
import { listen } from '#core/serving/listener.ts';
import { checkOfEdge, ParentChecks } from '#core/tree/checks.ts';
import { Geography } from '#control-plane/routing/geography/geography.ts';
import { routeRequest } from '#control-plane/routing/http/request.ts';
import { Beacons } from '#control-plane/routing/latency/beacons.ts';
import { LatencyReporter } from '#control-plane/routing/latency/reporter.ts';
import { RouterView } from '#control-plane/routing/view/view.ts';
import { FakeClock } from '#test/scenario/kit/clock.ts';
import { until } from '#test/scenario/kit/until.ts';
import { configOf, edgeNode, Served } from './dns-kit.ts';

/** Nearest to oslo. */
const CLIENT = '81.2.69.160';
const LIMIT_MS = 5_000;
/** In [0, 1): checks are as far apart as they ever are. */
const SLOWEST = 1 - Number.EPSILON;

/** A clock of which it is known when its next timer is due. */
class SteppedClock extends FakeClock {
  readonly #due = new Set<number>();
  /** Timers set so far. */
  set = 0;

  override after(delayMs: number, callback: () => void): Cancel {
    const at = this.monotonicMs() + delayMs;
    this.#due.add(at);
    this.set++;
    const cancel = super.after(delayMs, () => {
      this.#due.delete(at);
      callback();
    });
    return () => {
      this.#due.delete(at);
      cancel();
    };
  }

  /** Lets the next timer run. */
  step(): void {
    const next = Math.min(...this.#due);
    this.advance(`${next - this.monotonicMs()}ms`);
  }
}

/** How an edge dies: `stop` leaves its port closed, `hang` has it take connections and say nothing. */
type Death = 'stop' | 'hang';

async function mortalEdge() {
  let isHung = false;
  const server: Server = createServer((_, outgoing) => {
    if (!isHung) outgoing.end('{"status":"ok"}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  };
  onTestFinished(close);
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    die: async (death: Death): Promise<void> => {
      isHung = true;
      if (death === 'stop') await close();
    },
  };
}

/** A router on a clock that stands still, with all that it says of where `oslo` is. */
async function routerWith(url: string) {
  const clock = new SteppedClock();
  const geography = new Geography([embeddedCountries()]);
  const view = new RouterView({ clock, geography });
  const others = (['rome', 'lisbon', 'new-york', 'tokyo'] as const).map((city) => edgeNode(city));
  const oslo = { ...edgeNode('oslo'), url };
  view.configure(configOf({ nodes: [oslo, ...others] }));
  const checks = new ParentChecks({
    clock,
    random: () => SLOWEST,
    onChange: (down) => view.checked(down),
  });
  onTestFinished(() => checks.close());
  checks.watch([checkOfEdge(oslo)]);

  const { source } = view;
  if (source === undefined) throw new Error('no configuration');
  const served = await Served.start({ source, clock });
  const beacons = new Beacons({ clock, geography, config: () => view.config });
  const reporter = new LatencyReporter({
    // No part of this, and its timers are none of the checks'.
    clock: new FakeClock(),
    log: pino({ level: 'silent' }),
    post: async () => undefined,
  });
  onTestFinished(() => reporter.stop());
  const http = await listen({
    host: '127.0.0.1',
    port: 0,
    handle: async (exchange) => {
      const trustedProxies = new TrustedProxies(['127.0.0.1']);
      await routeRequest(
        { view, beacons, reporter, clock, trustedProxies, onError: fail },
        exchange,
      );
    },
    onError: (error) => fail(String(error)),
  });
  onTestFinished(() => http.close(0));
  const get = (path: string, host: string) =>
    request(`${http.url}${path}`, { headers: { host, 'x-forwarded-for': CLIENT } });
  const dns = async (type: string): Promise<string> =>
    (await served.records(`+subnet=${CLIENT}/32`, 'film.cdn.example', type)).join('\n');

  /** Whether each output names it. */
  const outputs = async () => {
    const { headers, body } = await get('/video.mp4', 'www.film.example');
    await body.dump();
    const listed = await get('/route?url=http://www.film.example/video.mp4', 'router.example');
    const { edges } = (await listed.body.json()) as { edges: { name: string }[] };
    const [a, aaaa, https] = [await dns('A'), await dns('AAAA'), await dns('HTTPS')];
    return {
      a: a.includes('198.18.0.1'),
      aaaa: aaaa.includes('3fff::1'),
      https: https.includes('198.18.0.1') || https.includes('3fff::1'),
      redirect: String(headers['location']).startsWith('http://oslo.film.cdn.example'),
      list: edges.some(({ name }) => name === 'oslo'),
    };
  };
  const isDown = (): boolean =>
    view.candidates.some(({ name, condition }) => name === 'oslo' && condition === 'down');
  /** For how long a resolver keeps the answer. */
  const ttlSeconds = async (): Promise<number> => {
    const [line = ''] = (
      await served.dig('+noall', '+answer', `+subnet=${CLIENT}/32`, 'film.cdn.example', 'A')
    )
      .split('\n')
      .filter((text) => text.startsWith('film'));
    return Number(line.split(/\s+/)[1]);
  };
  return { clock, outputs, isDown, ttlSeconds };
}

const fail = (message: string): void => expect.fail(message);

const every = (named: boolean) => ({
  a: named,
  aaaa: named,
  https: named,
  redirect: named,
  list: named,
});

// The first wait at random, a check that hangs until its timeout, the one that makes sure, which
// hangs, too: whatever the defaults are, the sum is what the test walks through.
test.each(['stop', 'hang'] as const)(
  'an edge that dies (%s) right after a check has left every output within five seconds',
  async (death) => {
    const edge = await mortalEdge();
    const { clock, outputs, isDown, ttlSeconds } = await routerWith(edge.url);
    // The first check and its timeout, then the wait for the second.
    clock.step();
    await until(() => clock.set === 3);
    expect(await outputs()).toEqual(every(true));
    expect(await ttlSeconds()).toBe(30);

    await edge.die(death);
    const diedAtMs = clock.monotonicMs();
    while (!isDown()) {
      expect(clock.monotonicMs() - diedAtMs).toBeLessThan(LIMIT_MS);
      const known = clock.set;
      clock.step();
      // Each timer leads to the next: a check to its timeout, its end to the wait for another.
      await until(() => isDown() || clock.set > known);
      if (death === 'stop') await until(() => isDown() || clock.set > known + 1);
    }
    expect(clock.monotonicMs() - diedAtMs).toBeLessThanOrEqual(LIMIT_MS);
    expect(await outputs()).toEqual(every(false));
    // Resolvers that asked before keep what they were told; those that ask now will soon ask again.
    expect(await ttlSeconds()).toBe(5);
  },
);
