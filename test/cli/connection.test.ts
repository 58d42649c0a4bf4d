import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { addressOf } from '#cli/connection.ts';
import { readNetworkFile, writeNetworkFile } from '#cli/network-file.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'canopy-connection-'));
});
afterEach(() => rm(dir, { recursive: true }));

const network = {
  controlPlaneUrl: 'http://127.0.0.1:8086',
  adminToken: 'token-of-the-network',
  credentials: {},
  sampleUploaded: true,
};

describe('addressOf', () => {
  const known = { url: network.controlPlaneUrl, token: network.adminToken };

  test('what `up` left behind is the default', async () => {
    await writeNetworkFile(dir, network);
    expect(await addressOf({ dir, json: false })).toEqual(known);
  });

  test('options win', async () => {
    await writeNetworkFile(dir, network);
    const options = { dir, json: false, controlPlane: 'http://cp.test', token: 'mine' };
    expect(await addressOf(options)).toEqual({ url: 'http://cp.test', token: 'mine' });
  });

  test('of several control planes the first', async () => {
    const options = {
      dir,
      json: false,
      controlPlane: 'http://a.test,http://b.test',
      token: 'mine',
    };
    expect((await addressOf(options)).url).toBe('http://a.test');
  });

  test('the token of one network is not shown to another', async () => {
    await writeNetworkFile(dir, network);
    await expect(
      addressOf({ dir, json: false, controlPlane: 'http://other.test' }),
    ).rejects.toMatchObject({ code: 'unauthenticated' });
    expect(await addressOf({ dir, json: false, controlPlane: known.url })).toEqual(known);
  });

  test('nothing known: says what to do', async () => {
    await expect(addressOf({ dir, json: false })).rejects.toThrow(/canopy up.*--control-plane/);
  });

  test('a URL that is none', async () => {
    const options = { dir, json: false, controlPlane: 'nonsense', token: 'mine' };
    await expect(addressOf(options)).rejects.toMatchObject({ code: 'invalid-input' });
  });
});

describe('network file', () => {
  test('is its owner’s only and comes back as written', async () => {
    await writeNetworkFile(dir, network);
    expect((await stat(join(dir, 'network.json'))).mode & 0o777).toBe(0o600);
    expect(await readNetworkFile(dir)).toEqual(network);
  });

  test.each([['{"adminTok'], ['{}'], ['[]']])('damaged as %s is refused by name', async (text) => {
    await writeFile(join(dir, 'network.json'), text);
    await expect(readNetworkFile(dir)).rejects.toMatchObject({
      code: 'invalid-input',
      message: expect.stringContaining('network.json') as string,
    });
  });
});
