import type { Clock } from '#core/clock.ts';
import { CanopyError } from '#core/errors.ts';
import type { ClientLimits } from './limits.ts';

type PaceLimits = Pick<ClientLimits, 'minContentBytesPerSecond' | 'contentGraceMs'>;

/** How fast content has to come. */
export interface ContentPace extends PaceLimits {
  readonly clock: Clock;
  /** Called when content is given up. */
  readonly onTooSlow: () => void;
}

/** How long a client may have been waited for by the time that so many bytes of its content are here, ms. */
export const allowedWaitMs = (
  bytes: number,
  { minContentBytesPerSecond: rate, contentGraceMs }: PaceLimits,
): number => (rate === 0 ? Infinity : contentGraceMs + (bytes / rate) * 1000);

/**
 * A request's content as far as it keeps to its limits. Only the time counts in which somebody waits for
 * the client: an origin may be as slow as it likes.
 * @throws CanopyError `request-timeout`, `content-too-large`
 */
export async function* limitedContent(
  content: AsyncIterable<Buffer>,
  pace: ContentPace,
  maxBytes: number,
): AsyncGenerator<Buffer, void, undefined> {
  const { clock, onTooSlow } = pace;
  const source = content[Symbol.asyncIterator]();
  let waitedMs = 0;
  let bytes = 0;
  try {
    for (;;) {
      const sinceMs = clock.monotonicMs();
      const next = await within(source.next(), clock, allowedWaitMs(bytes, pace) - waitedMs);
      waitedMs += clock.monotonicMs() - sinceMs;
      if (next === 'late') {
        onTooSlow();
        throw new CanopyError(
          'request-timeout',
          `Only ${bytes} bytes of the content came in ${Math.round(waitedMs / 1000)} s`,
        );
      }
      if (next.done === true) return;
      bytes += next.value.length;
      if (bytes > maxBytes) throw tooLarge(maxBytes);
      yield next.value;
    }
  } finally {
    // Not awaited: what is waited for comes first, and may never come.
    source.return?.().catch(() => undefined);
  }
}

/** @param maxBytes what the site takes */
export const tooLarge = (maxBytes: number): CanopyError =>
  new CanopyError('content-too-large', `Content of a request may have ${maxBytes} bytes here`);

function within<T>(wanted: Promise<T>, clock: Clock, limitMs: number): Promise<T | 'late'> {
  if (limitMs === Infinity) return wanted;
  return new Promise((resolve, reject) => {
    const cancel = clock.after(Math.max(0, limitMs), () => resolve('late'));
    wanted.then(resolve, reject).finally(cancel);
  });
}
