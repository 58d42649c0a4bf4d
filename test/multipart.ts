/** A body part of `multipart/byteranges`. */
export interface BodyPart {
  readonly contentRange: string | undefined;
  readonly contentType: string | undefined;
  readonly bytes: Buffer;
}

/** Reads it as RFC 2046 §5.1.1 says, by its delimiters alone. @throws Error where it is malformed */
export function parseMultipart(contentType: string, body: Buffer): readonly BodyPart[] {
  const boundary = /^multipart\/byteranges; boundary=(\S{1,70})$/.exec(contentType)?.[1];
  if (boundary === undefined) throw new Error(`No boundary in ${contentType}`);
  // As latin1, so that a character is a byte.
  const [preamble, ...rest] = `\r\n${body.toString('latin1')}`.split(`\r\n--${boundary}`);
  if (preamble !== '' || rest.pop() !== '--\r\n') throw new Error('Delimiters are missing');
  return rest.map((part) => {
    const headEnd = part.indexOf('\r\n\r\n');
    const lines = part.slice(2, headEnd).split('\r\n');
    if (!part.startsWith('\r\n') || headEnd === -1) throw new Error('A part has no head');
    const field = (name: string): string | undefined =>
      lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
    return {
      contentRange: field('Content-Range'),
      contentType: field('Content-Type'),
      bytes: Buffer.from(part.slice(headEnd + 4), 'latin1'),
    };
  });
}
