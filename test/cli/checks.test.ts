import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { requireFreePorts } from '#cli/up/ports.ts';
import { probeOriginServers } from '#cli/up/pull.ts';

const servers: Server[] = [];

async function serve(status: number): Promise<number> {
  const server = createServer((_request, response) => response.writeHead(status).end());
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function closedPort(): Promise<number> {
  const port = await serve(200);
  const server = servers.pop();
  server?.close();
  return port;
}

afterEach(async () => {
  await Promise.all(
    servers.splice(0).map((server) => {
      server.closeAllConnections();
      return once(server.close(), 'close');
    }),
  );
});

describe('requireFreePorts', () => {
  test('names the port that is taken and who needs it', async () => {
    const port = await serve(200);
    await expect(requireFreePorts([{ name: 'edge-oslo', port, adminPort: 0 }])).rejects.toThrow(
      `Port ${port} (for edge-oslo) is in use; choose another first port with --port`,
    );
  });

  test('leaves free ports free, and the system’s choice alone', async () => {
    const port = await closedPort();
    const processes = [
      { name: 'a', port, adminPort: 0 },
      { name: 'b', port: 0, adminPort: 0 },
    ];
    await expect(requireFreePorts(processes)).resolves.toBeUndefined();
    await expect(requireFreePorts(processes)).resolves.toBeUndefined();
  });
});

describe('probeOriginServers', () => {
  test('any status is an answer', async () => {
    const url = `http://127.0.0.1:${await serve(503)}`;
    expect(await probeOriginServers([url])).toEqual([]);
  });

  test('one of two: a warning', async () => {
    const dead = `http://127.0.0.1:${await closedPort()}`;
    const alive = `http://127.0.0.1:${await serve(200)}`;
    const warnings = await probeOriginServers([dead, alive]);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(dead);
  });

  test('none: refused', async () => {
    const dead = `http://127.0.0.1:${await closedPort()}`;
    await expect(probeOriginServers([dead])).rejects.toMatchObject({
      code: 'upstream-unreachable',
      message: expect.stringContaining(dead) as string,
    });
  });
});
