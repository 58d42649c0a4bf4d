/** A request that is not what it seems, or that some server has taken for another than the next one did. */
export interface Row {
  readonly name: string;
  /** What a client sends, one character per octet. */
  readonly bytes: string;
  /** The statuses of all that it is answered. */
  readonly answers: readonly number[];
  /** All that the origin may see of it: method, target, and content in quotes. */
  readonly sees: readonly string[];
}

export const H = 'Host: www.example.org\r\n';
/** What must not be read out of something else. */
export const SMUGGLED = `GET /smuggled HTTP/1.1\r\n${H}\r\n`;
export const CHUNKED = 'Transfer-Encoding: chunked\r\n';

export const refused = (name: string, bytes: string, status = 400): Row => ({
  name,
  bytes,
  answers: [status],
  sees: [],
});
export const passed = (name: string, bytes: string, ...sees: readonly string[]): Row => ({
  name,
  bytes,
  answers: sees.map(() => 200),
  sees,
});
