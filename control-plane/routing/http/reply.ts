import { MethodNotAllowed } from '#core/errors.ts';
import type { Fields } from '#core/http/fields.ts';
import type { ClientRequest } from '#core/http/request.ts';
import type { Prefix } from '../engine/prefix.ts';
import type { HttpRouterOptions } from './request.ts';

export interface Reply {
  readonly status: number;
  readonly fields: Fields;
  readonly body: Buffer;
}

/** A request for something that the router answers itself. */
export interface Asked extends HttpRouterOptions {
  readonly request: ClientRequest;
  readonly query: URLSearchParams;
  /** The client's. */
  readonly address: Prefix;
  readonly content: AsyncIterable<Buffer>;
}

/** Another client may get another answer. */
export const uncached = ['Cache-Control', 'no-store'];

export function json(content: object, fields: Fields = uncached): Reply {
  const body = Buffer.from(`${JSON.stringify(content)}\n`);
  const type = ['Content-Type', 'application/json', 'Content-Length', String(body.length)];
  return { status: 200, fields: [...type, ...fields], body };
}

/** @throws MethodNotAllowed */
export function requireReading({ method }: ClientRequest): void {
  if (method !== 'GET' && method !== 'HEAD') throw new MethodNotAllowed(method, 'GET, HEAD');
}
