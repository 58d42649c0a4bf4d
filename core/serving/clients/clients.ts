import { CanopyError, RateExceeded } from '#core/errors.ts';
import type { Samples } from '#core/telemetry/samples.ts';
import { networkOf } from './network-of.ts';
import { type ClientLimits, DEFAULT_LIMITS } from './limits.ts';

/** What a client has at the moment. */
export interface Client {
  readonly network: string;
  connections: number;
  /** Whose answer is not complete. */
  requests: number;
}

/** The limits that a client can meet, as metrics name them. */
type Limit = 'connections' | 'client-connections' | 'client-requests' | 'tunnels' | 'content-rate';

const RETRY_AFTER_MS = 1_000;

interface Connection {
  readonly remoteAddress?: string | undefined;
  once(event: 'close', listener: () => void): unknown;
}

/** Counts what the clients of one thread have, over all that it listens on. */
export class Clients {
  readonly limits: ClientLimits;
  readonly #isShared: (address: string) => boolean;
  readonly #byNetwork = new Map<string, Client>();
  readonly #refused = new Map<Limit, number>();
  #connections = 0;
  #tunnels = 0;

  /** @param isShared of addresses that many clients come by, such as those of proxies before an edge */
  constructor(
    limits: ClientLimits = DEFAULT_LIMITS,
    isShared: (address: string) => boolean = () => false,
  ) {
    this.limits = limits;
    this.#isShared = isShared;
  }

  /**
   * Counts a connection until it is closed.
   * @returns why it is to be refused, if it is; then it does not count
   */
  admit(connection: Connection): CanopyError | undefined {
    const { maxConnections, maxConnectionsPerClient } = this.limits;
    if (this.#connections >= maxConnections) {
      this.#count('connections');
      return new CanopyError('unavailable', `${maxConnections} connections are open already`);
    }
    const client = this.#clientAt(connection.remoteAddress);
    if (client !== undefined && client.connections >= maxConnectionsPerClient) {
      this.#count('client-connections');
      const most = `${maxConnectionsPerClient} connections of the client are open already`;
      return new RateExceeded(most, RETRY_AFTER_MS);
    }
    this.#connections++;
    if (client !== undefined) client.connections++;
    connection.once('close', () => {
      this.#connections--;
      if (client === undefined) return;
      client.connections--;
      this.#letGo(client);
    });
    return undefined;
  }

  /** Whose the requests of a connection are; `undefined`: nobody's that is counted. */
  of({ remoteAddress }: Pick<Connection, 'remoteAddress'>): Client | undefined {
    return this.limits.maxRequestsPerClient === Infinity
      ? undefined
      : this.#clientAt(remoteAddress);
  }

  /**
   * Counts a request until `end`.
   * @returns why it is to be refused, if it is; then there is nothing to end
   */
  begin(client: Client): CanopyError | undefined {
    const { maxRequestsPerClient } = this.limits;
    if (client.requests < maxRequestsPerClient) {
      client.requests++;
      return undefined;
    }
    this.#count('client-requests');
    const most = `${maxRequestsPerClient} requests of the client are under way already`;
    return new RateExceeded(most, RETRY_AFTER_MS);
  }

  end(client: Client): void {
    client.requests--;
    this.#letGo(client);
  }

  /**
   * Counts a connection or stream that leaves HTTP until it is closed.
   * @returns why it is to be refused, if it is
   */
  detach(tunnel: Pick<Connection, 'once'>): CanopyError | undefined {
    const { maxTunnels } = this.limits;
    if (this.#tunnels >= maxTunnels) {
      this.#count('tunnels');
      return new CanopyError('unavailable', `${maxTunnels} connections are upgraded already`);
    }
    this.#tunnels++;
    tunnel.once('close', () => this.#tunnels--);
    return undefined;
  }

  /** The content of a request was given up, for it came too slowly. */
  gaveUp(): void {
    this.#count('content-rate');
  }

  sample(samples: Samples): void {
    for (const [limit, times] of this.#refused) {
      samples.add('canopy_clients_refused_total', times, limit);
    }
  }

  #clientAt(address: string | undefined): Client | undefined {
    if (address === undefined || this.#isShared(address)) return undefined;
    const network = networkOf(address);
    const present = this.#byNetwork.get(network);
    if (present !== undefined) return present;
    const client = { network, connections: 0, requests: 0 };
    this.#byNetwork.set(network, client);
    return client;
  }

  #letGo({ network, connections, requests }: Client): void {
    if (connections === 0 && requests === 0) this.#byNetwork.delete(network);
  }

  #count(limit: Limit): void {
    this.#refused.set(limit, (this.#refused.get(limit) ?? 0) + 1);
  }
}
