import { HEALTH_TARGET } from '#core/tree/health-target.ts';
import type { Exchange, Sent } from './exchange.ts';

const BODY = Buffer.from('{"status":"ok"}\n');
const FIELDS = ['Content-Type', 'application/json', 'Content-Length', String(BODY.length)];

/** Answers a health check, which proves nothing of who asks; `undefined`: it is another request. */
export function answerHealth(exchange: Exchange): Promise<Sent> | undefined {
  const { method, target } = exchange.received;
  if (target !== HEALTH_TARGET || (method !== 'GET' && method !== 'HEAD')) return undefined;
  return exchange.respond(200, FIELDS, method === 'HEAD' ? [] : [BODY]);
}
