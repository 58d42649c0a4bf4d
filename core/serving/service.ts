import type { Socket } from 'node:net';

/** What a service or a listener has in hand. */
export interface Activity {
  /** Open connections, tunnels among them. */
  readonly connections: number;
  /** Connections since the start. */
  readonly accepted: number;
  /** Connections that have left HTTP, or ask to. */
  readonly tunnels: number;
  /** Requests whose answer is not complete. */
  readonly requests: number;
}

/** A version of HTTP, served on connections that are accepted elsewhere. */
export interface Service {
  adopt(connection: Socket): void;
  activity(): Activity;
  /** Ends connections that are idle, and has the others end with what is under way. May be called again. */
  drain(): void;
  /** Ends all connections. */
  cut(): void;
}

const NOTHING: Activity = { connections: 0, accepted: 0, tunnels: 0, requests: 0 };

export const sumOf = (activities: readonly Activity[]): Activity =>
  activities.reduce(
    (sum, one) => ({
      connections: sum.connections + one.connections,
      accepted: sum.accepted + one.accepted,
      tunnels: sum.tunnels + one.tunnels,
      requests: sum.requests + one.requests,
    }),
    NOTHING,
  );
