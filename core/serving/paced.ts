import type { Writable } from 'node:stream';
import type { Sent } from './exchange.ts';

/**
 * Bytes that may wait to go out before the next chunk is asked for: less than two reads from a socket
 * would have sending and reading take turns in place of overlapping.
 */
export const AHEAD_BYTES = 128 * 1024;

/**
 * Sends content at the pace of the client: the next chunk is asked for once the last has room. As
 * stream.pipeline does, without the stream that it would make of the content.
 * @param cut ends the answer so that it does not look whole, as the content has failed
 */
export function sendPaced(
  to: Writable,
  content: readonly Buffer[] | AsyncIterable<Buffer>,
  cut: (error: Error) => void,
): Promise<Sent> {
  return new Promise((resolve) => {
    const source =
      Symbol.asyncIterator in content ? content[Symbol.asyncIterator]() : content.values();
    let bytes = 0;
    let isFinished = false;
    let isGone = to.destroyed;
    let isRoomy: (() => void) | undefined;
    const end = (how: Sent['end']): void => resolve({ bytes, end: how });

    const leave = async (): Promise<void> => {
      isGone = true;
      end(isFinished ? 'complete' : 'aborted');
      isRoomy?.();
      // While the content stalls, it would not hear of a client that leaves.
      await source.return?.();
    };
    const pump = async (): Promise<void> => {
      for (;;) {
        const next = await source.next();
        if (isGone) return;
        if (next.done === true) {
          to.end();
          return;
        }
        bytes += next.value.length;
        const isRoom = to.write(next.value) || to.writableLength < AHEAD_BYTES;
        if (!isRoom) await new Promise<void>((roomy) => (isRoomy = roomy));
        if (isGone) return;
      }
    };

    to.on('error', ignore);
    to.on('drain', () => isRoomy?.());
    to.once('finish', () => {
      isFinished = true;
      end('complete');
    });
    to.once('close', () => void leave().catch(ignore));
    if (isGone) void leave().catch(ignore);
    else {
      pump().catch((error: Error) => {
        if (isGone || to.destroyed) return;
        end('broken');
        cut(error);
      });
    }
  });
}

const ignore = (): void => undefined;
