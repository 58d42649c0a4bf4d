import { messageOf } from '#core/errors.ts';
import { answerHealth } from '#core/serving/health.ts';
import { listen, type Listener } from '#core/serving/listener.ts';
import { handleRequest, type OriginOptions } from './request.ts';

export interface OriginServerOptions extends OriginOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
}

/** Totals since the start. */
export interface Traffic {
  readonly requests: number;
  readonly bytesSent: number;
  /** Answers of 1xx, 2xx and so on. */
  readonly byStatus: readonly number[];
}

export interface OriginServer extends Listener {
  readonly traffic: Traffic;
}

/** Serves a store over HTTP: content to nodes, the object API to publishers. */
export async function createOriginServer(options: OriginServerOptions): Promise<OriginServer> {
  const traffic = { requests: 0, bytesSent: 0, byStatus: [0, 0, 0, 0, 0] };
  const { host, port, log } = options;
  const listener = await listen({
    host,
    port,
    handle: async (exchange) => {
      // Not counted: nodes ask every second.
      const health = answerHealth(exchange);
      if (health !== undefined) return void (await health);
      traffic.requests++;
      const { status, bytes } = await handleRequest(options, exchange);
      const index = Math.floor(status / 100) - 1;
      traffic.byStatus[index] = (traffic.byStatus[index] ?? 0) + 1;
      traffic.bytesSent += bytes;
    },
    onError: (error) => log.error({ err: error }, messageOf(error)),
  });
  return { ...listener, traffic };
}
