import { CanopyError, messageOf, MethodNotAllowed } from '#core/errors.ts';
import { type Asked, type Reply, uncached } from './reply.ts';

const MAX_BYTES = 16 * 1024;

/** Takes what a client was measured to. Sent as `text/plain`, so that browsers ask nobody before. */
export async function takeBeacon(asked: Asked): Promise<Reply> {
  const { beacons, reporter, request, address } = asked;
  if (request.method !== 'POST') throw new MethodNotAllowed(request.method, 'POST');
  reporter.add(beacons.accept(address, await readJson(asked)));
  return { status: 204, fields: uncached, body: Buffer.alloc(0) };
}

async function readJson({ content }: Asked): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of content) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) {
      throw new CanopyError('content-too-large', `A beacon has at most ${MAX_BYTES} bytes`);
    }
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString());
  } catch (cause) {
    throw new CanopyError('invalid-request', `Expected JSON: ${messageOf(cause)}`, { cause });
  }
}
