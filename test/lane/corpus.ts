import { seededRandom } from '#bench/random.ts';

/** Requests as clients send them, from which mutations start. */
export const REQUESTS: readonly string[] = [
  'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
  'HEAD /a/b.css?c=d&e HTTP/1.1\r\nHost: www.example.org:8080\r\nConnection: keep-alive\r\n\r\n',
  'GET /x HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n',
  'GET /film.mp4 HTTP/1.1\r\nHost: www.example.org\r\nRange: bytes=0-99\r\nIf-Range: "a"\r\n\r\n',
  'GET /p HTTP/1.1\r\nHost:b\r\nIf-None-Match: W/"x", "y"\r\nIf-Modified-Since: Thu, 01 Jan 2026 00:00:00 GMT\r\nCache-Control: max-age=0\r\n\r\n',
  'GET /%C3%A9/../t HTTP/1.1\r\nhost: \t[::1]:80 \t\r\nX-Empty:\r\nCookie: a=b; c="d"\r\nCONNECTION: Keep-Alive\r\n\r\n',
  'GET /s HTTP/1.1\r\nHost: www.example.org\r\nConnection: keep-alive\r\nsec-ch-ua: "Chromium";v="130", "Not?A_Brand";v="99"\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9\r\nReferer: https://www.example.org/\r\n\r\n',
];

/** What smuggling is made of, RFC 9112 §11 and the work published on it. */
const PIECES: readonly string[] = [
  '\r\n',
  '\n',
  '\r',
  '\0',
  ' ',
  '\t',
  ':',
  '\x0b',
  '\x7f',
  '\x80',
  '\xff',
  '\r\n ',
  '\r\n\t',

  'Content-Length: 5\r\n',
  'Content-Length : 5\r\n',
  'content-length:0\r\n',
  'Content-Length\r\n',

  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding:\tchunked\r\n',
  'transfer-encoding\0:x\r\n',

  'Host: evil\r\n',
  'Host:\r\n',
  ' Host: evil\r\n',
  'Connection: close\r\n',
  'Connection: te\r\n',
  'Connection: upgrade\r\nUpgrade: h2c\r\n',
  'Expect: 100-continue\r\n',
  'TE: trailers\r\n',

  '\r\n\r\n',
  '0\r\n\r\n',
  'GET /evil HTTP/1.1\r\nHost: e\r\n\r\n',
  ' HTTP/1.1',
  ' HTTP/1.0',
  'HTTP/1.1',

  'http://evil/',
  '//',
  '/.',
  '#',
  '?',
  '%',
  '\\',
  'POST',
  'get',
  'X-A: b\r\n',
  'Canopy-Fence: 9\r\n',
  'CDN-Loop: x\r\n',
  'Trailer: x\r\n',
  'Keep-Alive: 1\r\n',
  'Accept-Encoding: br\r\n',
  'accept-encoding:\tgzip;q=0 \r\n',
  'X_A: b\r\n',
  'X-A: "\\"\r\n',
];

/** @returns a request changed in up to four places, or not at all */
export function mutant(random: () => number): string {
  const below = (limit: number): number => Math.floor(random() * limit);
  const oneOf = (texts: readonly string[]): string => texts[below(texts.length)] ?? '';
  let text = oneOf(REQUESTS);
  for (let changes = below(5); changes > 0; changes--) {
    const at = below(text.length + 1);
    const [before, after] = [text.slice(0, at), text.slice(at)];
    const lineAt = text.indexOf('\r\n', at) + 2;
    const change = below(7);
    if (change === 0) text = before + oneOf(PIECES) + after;
    else if (change === 1) text = before + after.slice(1);
    else if (change === 2) text = before + String.fromCharCode(below(256)) + after.slice(1);
    else if (change === 3) text = before + after.slice(0, below(20)) + after;
    else if (change === 4) text = text.slice(0, lineAt) + oneOf(PIECES) + text.slice(lineAt);
    else if (change === 5) text = before + oneOf(REQUESTS).slice(below(40));
    else text = before + after.replace(/[a-z]/, (letter) => letter.toUpperCase());
  }
  return text;
}

/** Mutants of one seed. */
export function* mutants(seed: number, count: number): Generator<string> {
  const random = seededRandom(seed);
  for (let i = 0; i < count; i++) yield mutant(random);
}
