import type { ClientLimits } from '#core/serving/clients/limits.ts';
import type { Settings, Values } from './config.ts';
import { wholeNumber } from './whole-number.ts';

/** What one client may have of an edge, and how slow it may be. */
export const clientLimits = {
  maxConnections: {
    schema: wholeNumber(1, 10_000_000),
    flag: '--max-connections <n>',
    variable: 'CANOPY_MAX_CONNECTIONS',
    description: 'connections of clients, all threads together',
    default: 20_000,
  },
  maxConnectionsPerClient: {
    schema: wholeNumber(1, 10_000_000),
    flag: '--max-connections-per-client <n>',
    variable: 'CANOPY_MAX_CONNECTIONS_PER_CLIENT',
    description: 'connections of one address (IPv6: of one /64), save trusted proxies',
    default: 1_000,
  },
  maxRequestsPerClient: {
    schema: wholeNumber(1, 10_000_000),
    flag: '--max-requests-per-client <n>',
    variable: 'CANOPY_MAX_REQUESTS_PER_CLIENT',
    description: 'requests of one address under way, tunnels among them',
    default: 1_000,
  },
  maxTunnels: {
    schema: wholeNumber(0, 10_000_000),
    flag: '--max-tunnels <n>',
    variable: 'CANOPY_MAX_TUNNELS',
    description: 'upgraded connections such as WebSockets, all threads together',
    default: 10_000,
  },
  headersTimeoutMs: {
    schema: wholeNumber(100, 3_600_000),
    flag: '--headers-timeout-ms <ms>',
    variable: 'CANOPY_HEADERS_TIMEOUT_MS',
    description: "how long a request's header section may take to arrive",
    default: 15_000,
  },
  keepAliveMs: {
    schema: wholeNumber(100, 3_600_000),
    flag: '--keep-alive-ms <ms>',
    variable: 'CANOPY_KEEP_ALIVE_MS',
    description: 'how long a connection without requests is kept',
    default: 75_000,
  },
  stalledMs: {
    schema: wholeNumber(100, 3_600_000),
    flag: '--stalled-ms <ms>',
    variable: 'CANOPY_STALLED_MS',
    description: 'how long nothing may move in the middle of a message',
    default: 120_000,
  },
  minContentBytesPerSecond: {
    schema: wholeNumber(0, 1_000_000_000),
    flag: '--min-content-rate <n>',
    variable: 'CANOPY_MIN_CONTENT_RATE',
    description: "bytes per second of a request's content, of what is waited for; 0: any",
    default: 500,
  },
  contentGraceMs: {
    schema: wholeNumber(0, 3_600_000),
    flag: '--content-grace-ms <ms>',
    variable: 'CANOPY_CONTENT_GRACE_MS',
    description: 'how long content may be waited for before that rate counts',
    default: 20_000,
  },
} as const satisfies Settings;

/** What they come to. */
export const limitsOf = ({
  maxConnections,
  maxConnectionsPerClient,
  maxRequestsPerClient,
  maxTunnels,
  headersTimeoutMs,
  keepAliveMs,
  stalledMs,
  minContentBytesPerSecond,
  contentGraceMs,
}: Values<typeof clientLimits>): ClientLimits => ({
  maxConnections,
  maxConnectionsPerClient,
  maxRequestsPerClient,
  maxTunnels,
  headersTimeoutMs,
  keepAliveMs,
  stalledMs,
  minContentBytesPerSecond,
  contentGraceMs,
});
