import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { nodeSchema } from '#core/contract/node.ts';
import { siteSchema } from '#core/contract/site.ts';
import { embeddedCountries } from '#core/geography/embedded.ts';
import { TrustedProxies } from '#core/serving/client-address.ts';
import { listen } from '#core/serving/listener.ts';
import { Geography } from '#control-plane/routing/geography/geography.ts';
import { routeRequest } from '#control-plane/routing/http/request.ts';
import { Beacons } from '#control-plane/routing/latency/beacons.ts';
import { RouterView } from '#control-plane/routing/view/view.ts';
import { FakeClock } from '#test/scenario/kit/clock.ts';

/** An HTTP server that fails as a test wants it to. */
export async function serve(listener: RequestListener): Promise<{ url: string; server: Server }> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}

/** A real router, before edges with these URLs, which it has in this order. */
export async function router(urls: readonly string[], site: object = {}): Promise<string> {
  const clock = new FakeClock();
  const geography = new Geography([embeddedCountries()], { latitude: 0, longitude: 0 });
  const view = new RouterView({ clock, geography });
  view.configure({
    journal: 'test',
    sequence: 1,
    bans: [],
    certificates: [],
    network: { tierKey: '0123456789abcdef' },
    nodes: urls.map((url, i) =>
      nodeSchema.parse({
        name: `edge-${i}`,
        tier: 'edge',
        location: { name: `at-${i}`, latitude: 0, longitude: 10 * i },
        url,
      }),
    ),
    sites: [siteSchema.parse({ name: 'film', hosts: ['*'], origin: { kind: 'push' }, ...site })],
  });
  const problems: string[] = [];
  const options = {
    view,
    beacons: new Beacons({ clock, geography, config: () => view.config }),
    reporter: { add: () => undefined },
    trustedProxies: new TrustedProxies([]),
    clock,
    onError: (message: string) => void problems.push(message),
  };
  const listener = await listen({
    host: '127.0.0.1',
    port: 0,
    handle: async (exchange) => void (await routeRequest(options, exchange)),
    onError: (error) => void problems.push(String(error)),
  });
  onTestFinished(async () => {
    await listener.close(0);
    if (problems.length > 0) throw new Error(problems.join('\n'));
  });
  return listener.url;
}
