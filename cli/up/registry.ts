import { randomBytes } from 'node:crypto';
import type { Node } from '#core/contract/node.ts';
import type { ApiClient } from '../api-client.ts';
import { type NetworkFile, readNetworkFile, writeNetworkFile } from '../network-file.ts';

/** What `up` knows of its network between two starts; each change is on disk before it is relied on. */
export class Registry {
  readonly #dir: string;
  #file: NetworkFile;

  private constructor(dir: string, file: NetworkFile) {
    this.#dir = dir;
    this.#file = file;
  }

  /** Reads what the last start left in `dir`, or begins afresh with a new admin token. */
  static async open(dir: string): Promise<Registry> {
    const registry = new Registry(dir, (await readNetworkFile(dir)) ?? freshFile());
    await registry.#change({});
    return registry;
  }

  get adminToken(): string {
    return this.#file.adminToken;
  }

  get sampleUploaded(): boolean {
    return this.#file.sampleUploaded;
  }

  controlPlaneAt(url: string): Promise<void> {
    return this.#change({ controlPlaneUrl: url });
  }

  markSampleUploaded(): Promise<void> {
    return this.#change({ sampleUploaded: true });
  }

  /** Adds `node` or brings it up to date. @returns its credential */
  async add(api: ApiClient, node: Node): Promise<string> {
    const known = this.#file.credentials[node.name];
    let given = await api.putNode(node);
    if (given === undefined) {
      if (known !== undefined) return known;
      // Its credential is lost, and the control plane shows each only once.
      await api.deleteNode(node.name);
      given = await api.putNode(node);
    }
    if (given === undefined) throw new Error(`No credential was given for ${node.name}`);
    await this.#change({ credentials: { ...this.#file.credentials, [node.name]: given } });
    return given;
  }

  /** Removes the nodes of earlier starts that are not among `names`; nodes that others added stay. */
  async removeAllBut(api: ApiClient, names: ReadonlySet<string>): Promise<void> {
    const there = new Set((await api.nodes()).map((node) => node.name));
    for (const name of Object.keys(this.#file.credentials)) {
      if (names.has(name)) continue;
      if (there.has(name)) await api.deleteNode(name);
      const { [name]: _removed, ...credentials } = this.#file.credentials;
      await this.#change({ credentials });
    }
  }

  async #change(change: Partial<NetworkFile>): Promise<void> {
    this.#file = { ...this.#file, ...change };
    await writeNetworkFile(this.#dir, this.#file);
  }
}

const freshFile = (): NetworkFile => ({
  adminToken: randomBytes(32).toString('base64url'),
  credentials: {},
  sampleUploaded: false,
});
