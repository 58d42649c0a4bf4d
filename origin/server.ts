import { messageOf } from '#core/errors.ts';
import { listen } from '#core/serving/listener.ts';
import { handleRequest, type OriginOptions } from './request.ts';

export interface OriginServerOptions extends OriginOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
}

export interface OriginServer {
  /** Base URL. */
  readonly url: string;
  readonly port: number;
  /** Totals since the start. */
  readonly traffic: { readonly requests: number; readonly bytesSent: number };
  /** Stops accepting, lets what is under way finish for up to `graceMs`, then cuts what is left. */
  close(graceMs: number): Promise<void>;
}

/** Serves a store over HTTP: content to nodes, the object API to publishers. */
export async function createOriginServer(options: OriginServerOptions): Promise<OriginServer> {
  const traffic = { requests: 0, bytesSent: 0 };
  const { host, port, log } = options;
  const listener = await listen({
    host,
    port,
    handle: async (exchange) => {
      traffic.requests++;
      traffic.bytesSent += await handleRequest(options, exchange);
    },
    onError: (error) => log.error({ err: error }, messageOf(error)),
  });
  return { ...listener, traffic };
}
