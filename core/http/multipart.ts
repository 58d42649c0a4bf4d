import type { ByteRange } from './ranges.ts';

/** One range of several, as it travels. */
export interface Part {
  /** What comes before its bytes: delimiter and fields. */
  readonly head: Buffer;
  readonly range: ByteRange;
}

/** Several ranges as one content, RFC 9110 §14.6. */
export interface Multipart {
  /** Value of `Content-Type`. */
  readonly contentType: string;
  /** Bytes in all. */
  readonly length: number;
  readonly parts: readonly Part[];
  /** What comes after the last part. */
  readonly end: Buffer;
}

/**
 * @param size bytes of the whole representation
 * @param contentType of the whole representation, if it has one
 * @param boundary must not occur in the content: so random that it cannot have been known there, at
 * most 70 characters (RFC 2046 §5.1.1) that need no quoting
 */
export function multipart(
  ranges: readonly ByteRange[],
  size: number,
  contentType: string | undefined,
  boundary: string,
): Multipart {
  const type = contentType === undefined ? '' : `Content-Type: ${contentType}\r\n`;
  const parts = ranges.map((range, index) => {
    const delimiter = `${index === 0 ? '' : '\r\n'}--${boundary}\r\n`;
    const place = `Content-Range: bytes ${range.start}-${range.end}/${size}\r\n\r\n`;
    return { head: Buffer.from(delimiter + type + place, 'latin1'), range };
  });
  const end = Buffer.from(`\r\n--${boundary}--\r\n`, 'latin1');
  const length = parts.reduce(
    (sum, { head, range }) => sum + head.length + range.end - range.start + 1,
    end.length,
  );
  return { contentType: `multipart/byteranges; boundary=${boundary}`, length, parts, end };
}
