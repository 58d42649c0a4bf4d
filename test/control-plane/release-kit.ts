import { createHash } from 'node:crypto';
import { fetch } from 'undici';
import { onTestFinished } from 'vitest';
import type { RunningNode } from '#core/node/process.ts';
import { startOrigin } from '#origin/process.ts';
import { ADMIN, eventually, temporaryDir, TestControlPlane } from './kit.ts';

type Texts = Readonly<Record<string, string>>;

export interface Shown {
  readonly id: string;
  readonly status: string;
  readonly step: string;
  readonly failure?: { readonly code: string; readonly detail: string };
}

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

function demand(holds: boolean, what: string): void {
  if (!holds) throw new Error(`Expected ${what}`);
}

/** The site `shop` of a network with real origins, each on its own disk. */
export class Site {
  readonly cp: TestControlPlane;
  readonly origins = new Map<string, RunningNode>();
  readonly #dirs = new Map<string, string>();
  readonly #credentials = new Map<string, string>();

  private constructor(cp: TestControlPlane) {
    this.cp = cp;
  }

  static async start(
    origins: readonly string[],
    settings: object = {},
    cp?: TestControlPlane,
  ): Promise<Site> {
    const site = new Site(cp ?? (await TestControlPlane.start()));
    const origin = { kind: 'push', ...settings };
    await site.cp.call('PUT', '/v1/sites/shop', { hosts: ['shop.example'], origin });
    onTestFinished(async () => {
      await Promise.all([...site.origins.values()].map((node) => node.close()));
    });
    for (const name of origins) await site.startOrigin(name);
    return site;
  }

  async startOrigin(name: string): Promise<void> {
    const { cp } = this;
    const dir = this.#dirs.get(name) ?? (await temporaryDir());
    this.#dirs.set(name, dir);
    const credential = this.#credentials.get(name) ?? (await cp.addNode(name, 'origin'));
    this.#credentials.set(name, credential);
    const at = { name, controlPlaneUrls: [cp.url], credential, dir, admin: ADMIN };
    const node = await startOrigin({ ...at, host: '127.0.0.1', port: 0 });
    this.origins.set(name, node);
    await cp.addNode(name, 'origin', node.url);
    await eventually(async () => {
      const nodes = await cp.list('/v1/nodes');
      const own = nodes.find((one) => one['name'] === name);
      demand(own?.['url'] === node.url && own['inService'] === true, `${name} in service`);
    });
  }

  async stopOrigin(name: string): Promise<void> {
    await this.origins.get(name)?.close();
    this.origins.delete(name);
  }

  async put(texts: Texts): Promise<void> {
    for (const text of Object.values(texts)) {
      const answer = await fetch(`${this.cp.url}/v1/sites/shop/contents/${sha256(text)}`, {
        method: 'PUT',
        headers: { authorization: 'Bearer admin-token' },
        body: text,
      });
      demand(answer.ok, `the content put: ${answer.status}`);
    }
  }

  order(texts: Texts, more: object = {}, headers: Readonly<Record<string, string>> = {}) {
    const objects = Object.entries(texts).map(([path, text]) => ({ path, digest: sha256(text) }));
    const body = { objects, ...more };
    return this.cp.call('POST', '/v1/sites/shop/releases', body, 'admin-token', headers);
  }

  /** Puts, orders and waits. */
  async release(texts: Texts, more: object = {}): Promise<Shown> {
    await this.put(texts);
    const { status, body } = await this.order(texts, more);
    demand(status === 202, `an order taken: ${JSON.stringify(body)}`);
    return this.ended(String(body['id']));
  }

  /** Once nothing more is to come of it. */
  ended(id: string): Promise<Shown> {
    return eventually(async () => {
      const found = await this.find(id);
      demand(!/preparing|switching/.test(found.status), 'an end');
      return found;
    });
  }

  find(id: string): Promise<Shown> {
    return this.cp.get<Shown>(`/v1/sites/shop/releases/${id}`);
  }

  async rollback(order: object = {}): Promise<Shown> {
    const { status, body } = await this.cp.call('POST', '/v1/sites/shop/releases/rollback', order);
    demand(status === 202, `an order taken: ${JSON.stringify(body)}`);
    return eventually(async () => {
      const found = await this.find(String(body['id']));
      demand(found.status === 'current', 'the release in effect');
      return found;
    });
  }

  /** What a node of the network gets, by path; a status where it is no content. */
  async served(name: string, ...paths: string[]): Promise<(string | number)[]> {
    const network = await this.#network();
    const headers = { 'canopy-tier-key': network.tierKey, 'canopy-site': 'shop' };
    return Promise.all(
      paths.map(async (path) => {
        const answer = await fetch(new URL(path, this.origins.get(name)?.url), { headers });
        const text = await answer.text();
        return answer.ok ? text : answer.status;
      }),
    );
  }

  /** The keys, of which only a backup tells. */
  async #network(): Promise<{ readonly tierKey: string }> {
    const headers = { authorization: 'Bearer admin-token' };
    const backup = await (await fetch(`${this.cp.url}/v1/backup`, { headers })).text();
    const head = JSON.parse(backup.split('\n', 1)[0] ?? '') as { network: { tierKey: string } };
    return head.network;
  }
}
