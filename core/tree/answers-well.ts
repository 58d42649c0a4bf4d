import type { Agent } from 'undici';
import type { Clock } from '#core/clock.ts';
import type { HealthCheck } from '#core/contract/site.ts';
import type { Fields } from '#core/http/fields.ts';

/** How a server is asked whether it is well. */
export interface HealthQuestion extends Pick<HealthCheck, 'path' | 'status' | 'timeoutMs'> {
  readonly url: string;
  readonly fields: Fields;
}

/** Whether the answer is one of those wanted, and in time. */
export async function answersWell(
  clock: Clock,
  agent: Agent,
  { url, path, fields, status, timeoutMs }: HealthQuestion,
): Promise<boolean> {
  const abort = new AbortController();
  // A turn later: had this process stood still, the answer may be there and not yet read.
  const cancel = clock.after(timeoutMs, () => void setImmediate(() => abort.abort()));
  try {
    const { statusCode, body } = await agent.request({
      origin: url,
      path,
      method: 'GET',
      headers: [...fields],
      signal: abort.signal,
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    body.on('error', () => undefined).destroy();
    return status.includes(statusCode);
  } catch {
    return false;
  } finally {
    cancel();
  }
}
