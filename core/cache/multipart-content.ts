import { randomBytes } from 'node:crypto';
import type { Multipart } from '#core/http/multipart.ts';
import type { ByteRange } from '#core/http/ranges.ts';
import type { Selection } from '#core/http/selection.ts';

/** Nobody who has a say in a content can know it beforehand, so that no content can hold it. */
export const newBoundary = (): string => randomBytes(18).toString('base64url');

export const isMultipart = (part: Selection['part']): part is Multipart =>
  typeof part !== 'string' && 'parts' in part;

/** Where an answer begins that is sent as it is read. @param size of the whole, bytes */
export function firstRange(part: Exclude<Selection['part'], 'none'>, size: number): ByteRange {
  const all = { start: 0, end: size - 1 };
  if (part === 'all') return all;
  return isMultipart(part) ? (part.parts[0]?.range ?? all) : part;
}

/** Of bytes that are all there. */
export function heldParts(
  { parts, end }: Multipart,
  slice: (range: ByteRange) => readonly Buffer[],
): readonly Buffer[] {
  return [...parts.flatMap(({ head, range }) => [head, ...slice(range)]), end];
}

/** Whether the parts can be sent as they come by in a content that is read once. */
export const isAscending = ({ parts }: Multipart): boolean =>
  parts.every(({ range }, index) => range.start > (parts[index - 1]?.range.end ?? -1));

/** Of a content that is read from its first byte; see `isAscending`. */
export async function* passingParts(
  { parts, end }: Multipart,
  content: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer, void, undefined> {
  let offset = 0;
  let next = 0;
  for await (const chunk of content) {
    for (let part = parts[next]; part !== undefined; part = parts[next]) {
      const from = Math.max(part.range.start - offset, 0);
      const to = Math.min(part.range.end + 1 - offset, chunk.length);
      if (from >= to) break;
      if (part.range.start >= offset) yield part.head;
      yield chunk.subarray(from, to);
      if (part.range.end >= offset + chunk.length) break;
      next++;
    }
    offset += chunk.length;
    if (next < parts.length) continue;
    yield end;
    return;
  }
}

/**
 * Of a content that can be read from anywhere.
 * @param first reads the first part
 * @param read begins to read another
 */
export async function* readParts(
  { parts, end }: Multipart,
  first: AsyncIterable<Buffer>,
  read: (range: ByteRange) => AsyncIterable<Buffer>,
): AsyncGenerator<Buffer, void, undefined> {
  for (const [index, { head, range }] of parts.entries()) {
    yield head;
    yield* index === 0 ? first : read(range);
  }
  yield end;
}

/** A generator that waits, or has not begun, would not return the source that it reads. */
export function returning(
  generator: AsyncGenerator<Buffer, void, undefined>,
  source: () => AsyncIterableIterator<Buffer>,
): AsyncIterableIterator<Buffer> {
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    next: () => generator.next(),
    async return() {
      await source().return?.();
      return generator.return();
    },
  };
}
