import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { CONTRACT, CONTRACT_FIELD, OLDEST_CONTRACT } from '#core/contract/version.ts';
import { FakeClock } from '#test/scenario/kit/clock.ts';
import { TestLink } from '#test/node/kit.ts';
import { temporaryDir, TestControlPlane } from './kit.ts';

// Control planes and nodes of different versions.

const UNSUPPORTED = { code: 'contract-unsupported', side: 'client', retrySafe: false };

async function stream(spoken: number | string) {
  const cp = await TestControlPlane.start();
  const credential = await cp.addNode('node', 'edge');
  return fetch(`${cp.url}/v1/node/stream`, {
    headers: { authorization: `Bearer ${credential}`, [CONTRACT_FIELD]: String(spoken) },
  });
}

test.for([CONTRACT, OLDEST_CONTRACT])('a node that speaks %s is served', async (spoken) => {
  const answer = await stream(spoken);
  expect(answer.status).toBe(200);
  expect(answer.headers.get(CONTRACT_FIELD)).toBe(String(CONTRACT));
  await answer.body?.cancel();
});

test.for([OLDEST_CONTRACT - 1, CONTRACT + 1, 'new'])(
  'a node that speaks %s is refused',
  async (spoken) => {
    const answer = await stream(spoken);
    expect(answer.status).toBe(409);
    expect(await answer.json()).toMatchObject(UNSUPPORTED);
  },
);

test('a one-time token is not used up by a node that cannot follow', async () => {
  const cp = await TestControlPlane.start();
  const answer = await fetch(`${cp.url}/v1/enrolments/node/exchange`, {
    method: 'POST',
    headers: { [CONTRACT_FIELD]: String(CONTRACT + 1), 'content-type': 'application/json' },
    body: JSON.stringify({ digest: '0'.repeat(64) }),
  });
  expect(await answer.json()).toMatchObject({
    ...UNSUPPORTED,
    detail: expect.stringContaining('upgrade the control planes before their nodes'),
  });
});

test('a node does not follow a control plane of an older contract, and says what to do', async () => {
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const dir = await temporaryDir();
  const node = new TestLink({ urls: [url], credential: 'c', dir, clock: new FakeClock() });
  await expect(node.link.start()).rejects.toMatchObject({
    code: 'contract-unsupported',
    message: `The control plane at ${url} speaks contract 1, this node ${CONTRACT}: upgrade the control planes before their nodes`,
  });
});
