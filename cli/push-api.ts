import type { PushVariant } from '#core/contract/push.ts';
import { type ApiConnection, json } from './api-connection.ts';
import { type Push, pushSchema } from './api-types.ts';

export interface PushRequest {
  readonly urls: readonly string[];
  readonly sitemaps?: readonly string[];
  readonly manifests?: readonly string[];
  readonly to?: {
    readonly tier?: string;
    readonly locations?: readonly string[];
    readonly nodes?: readonly string[];
  };
  readonly priority?: string;
  readonly bytesPerSecond?: number;
  readonly concurrency?: number;
  readonly expiresInSeconds?: number;
  readonly reason?: string;
  readonly variants?: readonly PushVariant[] | undefined;
}

/** The control plane's API of pushes. */
export class PushApi {
  readonly #api: ApiConnection;

  constructor(api: ApiConnection) {
    this.#api = api;
  }

  order(order: PushRequest): Promise<Push> {
    return this.#api.send(pushSchema, 'POST', '/v1/pushes', json(order));
  }

  /** The latest `limit`, newest first. */
  latest(limit: number): Promise<Push[]> {
    return this.#api.all(pushSchema, '/v1/pushes', limit);
  }

  /**
   * The push as it stands once it has ended, or after `timeoutMs`.
   * @param onProgress called with it now and then
   */
  wait(id: string, timeoutMs: number, onProgress?: (push: Push) => void): Promise<Push> {
    const path = `/v1/pushes/${encodeURIComponent(id)}`;
    return this.#api.wait(pushSchema, path, timeoutMs, hasEnded, onProgress);
  }

  cancel(id: string): Promise<Push> {
    return this.#api.send(pushSchema, 'POST', `/v1/pushes/${encodeURIComponent(id)}/cancel`);
  }
}

const hasEnded = ({ status }: Push): boolean => status !== 'running';
