/** What one serving thread lets clients have at a time, and how slow they may be. */
export interface ClientLimits {
  /** Connections of all clients together; beyond it new ones are refused. */
  readonly maxConnections: number;
  /** Connections of one client; see `clientOf`. */
  readonly maxConnectionsPerClient: number;
  /** Requests of one client whose answer is not complete, tunnels among them. */
  readonly maxRequestsPerClient: number;
  /** Connections, and streams of HTTP/2, that have left HTTP; beyond it upgrades are refused. */
  readonly maxTunnels: number;
  /** For a whole header section to arrive, against those who send it a byte at a time. */
  readonly headersTimeoutMs: number;
  /** An idle connection is closed after so long. */
  readonly keepAliveMs: number;
  /** A connection, or a stream of HTTP/2, on which nothing moves in the middle of a message is cut. */
  readonly stalledMs: number;
  /** Content that is slower than this is given up. 0: it may be as slow as it likes. */
  readonly minContentBytesPerSecond: number;
  /** How long the client may be waited for in all before that counts. */
  readonly contentGraceMs: number;
}

/** Where a node is told nothing else: what nodes have of one another, whom nobody counts. */
export const DEFAULT_LIMITS: ClientLimits = {
  maxConnections: Infinity,
  maxConnectionsPerClient: Infinity,
  maxRequestsPerClient: Infinity,
  maxTunnels: 10_000,
  headersTimeoutMs: 15_000,
  // Longer than load balancers keep theirs.
  keepAliveMs: 75_000,
  stalledMs: 120_000,
  minContentBytesPerSecond: 0,
  contentGraceMs: 20_000,
};

/** The part of a node's limits that each of its threads keeps, for the kernel spreads connections evenly. */
export const ofThread = (limits: ClientLimits, threads: number): ClientLimits => ({
  ...limits,
  maxConnections: Math.ceil(limits.maxConnections / threads),
  maxConnectionsPerClient: Math.ceil(limits.maxConnectionsPerClient / threads),
  maxRequestsPerClient: Math.ceil(limits.maxRequestsPerClient / threads),
  maxTunnels: Math.ceil(limits.maxTunnels / threads),
});
