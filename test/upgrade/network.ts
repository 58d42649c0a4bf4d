import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, symlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliDecompressSync } from 'node:zlib';
import { request } from 'undici';
import { LongRunning } from '#test/e2e/canopy.ts';

// A network of processes, each of the previous build or of this one.

const ADMIN_TOKEN = 'the-token-of-the-upgrade-tests';

/** Unpacks the previous build into `dir`. @returns its command */
export async function previousBuild(dir: string): Promise<string> {
  await mkdir(dir, { recursive: true });
  const packed = await readFile(new URL('./previous.tar.br', import.meta.url));
  execFileSync('tar', ['--extract', '--directory', dir], { input: brotliDecompressSync(packed) });
  const dependencies = fileURLToPath(new URL('../../node_modules', import.meta.url));
  await symlink(dependencies, join(dir, 'node_modules'));
  return join(dir, 'dist/cli/main.js');
}

/** A port that is free now, for a process that keeps its address when it is started again. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

interface Member {
  readonly name: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  process: LongRunning;
}

export class MixedNetwork {
  readonly #root: string;
  readonly #previous: string;
  readonly #members = new Map<string, Member>();
  readonly #urls = new Map<string, string>();

  /** @param previous the command of the previous build */
  constructor(root: string, previous: string) {
    this.#root = root;
    this.#previous = previous;
  }

  urlOf(name: string): string {
    return this.#urls.get(name) ?? '';
  }

  /** Starts the control plane, by the previous build. */
  async startControlPlane(): Promise<void> {
    await this.#start('control-plane', ['control-plane'], { CANOPY_ADMIN_TOKEN: ADMIN_TOKEN });
  }

  /** Adds a node and starts it, by the previous build. */
  async startNode(tier: string, name: string, options: readonly string[] = []): Promise<void> {
    const port = await freePort();
    const location = { name: 'oslo', latitude: 59.91, longitude: 10.75 };
    const node = { name, tier, location, url: `http://127.0.0.1:${port}` };
    const isEdge = tier === 'edge';
    const { credential } = await this.api('PUT', `/v1/nodes/${name}`, {
      ...node,
      ...(isEdge && { addresses: ['127.0.0.1'] }),
    });
    const args = [tier, '--name', name, '--control-plane', this.urlOf('control-plane'), ...options];
    await this.#start(name, args, { CANOPY_CREDENTIAL: String(credential) }, port);
  }

  /** Stops a process as an operator does, and starts it again at the same address by this build. */
  async upgrade(name: string): Promise<void> {
    const member = this.#members.get(name);
    if (member === undefined) throw new Error(`There is no ${name}`);
    await member.process.end('SIGTERM');
    member.process = new LongRunning(member.args, { environment: member.environment });
    await member.process.says('admin on ');
  }

  async api(method: string, path: string, content?: unknown): Promise<Record<string, unknown>> {
    const { statusCode, body } = await request(this.urlOf('control-plane') + path, {
      method,
      headers: {
        authorization: `Bearer ${ADMIN_TOKEN}`,
        ...(content !== undefined && { 'content-type': 'application/json' }),
      },
      body: content === undefined ? null : JSON.stringify(content),
    });
    const answer = (await body.json()) as Record<string, unknown>;
    if (statusCode >= 300) throw new Error(`${method} ${path}: ${JSON.stringify(answer)}`);
    return answer;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#members.values()].map(({ process }) => process.end('SIGKILL')));
  }

  async #start(
    name: string,
    command: readonly string[],
    environment: Readonly<Record<string, string>>,
    port?: number,
  ): Promise<void> {
    const listen = `127.0.0.1:${port ?? (await freePort())}`;
    const where = ['--dir', join(this.#root, name), '--listen', listen, '--admin', '127.0.0.1:0'];
    const args = [...command, ...where];
    const process = new LongRunning(args, { environment, entry: this.#previous });
    this.#members.set(name, { name, args, environment, process });
    await process.says('admin on ');
    this.#urls.set(name, `http://${listen}`);
  }
}
