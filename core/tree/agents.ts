import { Agent } from 'undici';
import type { ServerConnection } from './parents.ts';

/** Connections to one parent for all sites together; each has its own limit below that. */
const CONNECTIONS_PER_PARENT = 4096;
/** Requests on one HTTP/2 connection at a time. */
const STREAMS_PER_CONNECTION = 100;
export const MAX_HEADER_BYTES = 64 * 1024;
/** A connection older than this gets no new request, so that a name is looked up anew in DNS. */
const CONNECTION_TTL_MS = 60_000;
/** Settings that are used no more are forgotten when there are more than this. */
const MAX_AGENTS = 1000;

/** undici's pools, one for each way of connecting. */
export class Agents {
  readonly #agents = new Map<string, Agent>();
  readonly #keepsConnections: boolean;

  /** @param options.keepsConnections `false`: each request has one of its own */
  constructor({ keepsConnections }: { readonly keepsConnections: boolean }) {
    this.#keepsConnections = keepsConnections;
  }

  of(connection: ServerConnection | undefined, connectTimeoutMs: number): Agent {
    const key = `${connectTimeoutMs} ${keyOf(connection)}`;
    const known = this.#agents.get(key);
    if (known !== undefined) return known;
    const agent = new Agent({
      connect: { timeout: connectTimeoutMs, ...tlsOptions(connection) },
      connections: CONNECTIONS_PER_PARENT,
      clientTtl: CONNECTION_TTL_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
      allowH2: connection?.http2 === true,
      pipelining: this.#pipelining(connection),
    });
    this.#agents.set(key, agent);
    this.#forgetOldest();
    return agent;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#agents.values()].map((agent) => agent.destroy()));
  }

  #pipelining(connection: ServerConnection | undefined): number {
    if (!this.#keepsConnections) return 0;
    return connection?.http2 === true ? STREAMS_PER_CONNECTION : 1;
  }

  #forgetOldest(): void {
    const [oldest] = this.#agents;
    if (oldest === undefined || this.#agents.size <= MAX_AGENTS) return;
    const [key, agent] = oldest;
    this.#agents.delete(key);
    // Once what is under way has ended.
    void agent.close();
  }
}

/** For undici and node:tls alike. */
export function tlsOptions(connection: ServerConnection | undefined): {
  rejectUnauthorized?: boolean;
  ca?: string;
  servername?: string;
} {
  if (connection === undefined) return {};
  const { verify, ca, serverName } = connection.tls;
  return {
    rejectUnauthorized: verify,
    ...(ca !== undefined && { ca }),
    ...(serverName !== undefined && { servername: serverName }),
  };
}

/** A connection's settings are one object for as long as the site is not changed. */
const keys = new WeakMap<ServerConnection, string>();

function keyOf(connection: ServerConnection | undefined): string {
  if (connection === undefined) return '';
  let key = keys.get(connection);
  if (key === undefined) {
    key = JSON.stringify([connection.tls, connection.http2]);
    keys.set(connection, key);
  }
  return key;
}
