import { H, passed, refused, type Row, SMUGGLED } from './row.ts';

const line = (requestLine: string, host = H): string => `${requestLine}\r\n${host}\r\n${SMUGGLED}`;

/** RFC 9112 §2.2, §2.3, §3. */
export const REQUEST_LINES: readonly Row[] = [
  refused('HTTP/0.9', `GET /a\r\n\r\n${SMUGGLED}`),
  passed('two spaces before the target', line('GET  /a HTTP/1.1'), 'GET /a', 'GET /smuggled'),
  passed('two spaces before the version', line('GET /a  HTTP/1.1'), 'GET /a', 'GET /smuggled'),
  refused('a tab before the target', line('GET\t/a HTTP/1.1')),
  refused('a tab before the version', line('GET /a\tHTTP/1.1')),
  refused('a space after the version', line('GET /a HTTP/1.1 ')),
  refused('a space before the method', line(' GET /a HTTP/1.1')),
  refused('a space in the target', line('GET /a b HTTP/1.1')),
  refused('a second version', line('GET /a HTTP/1.1 HTTP/1.1')),
  refused('NUL in the target', line('GET /a\0b HTTP/1.1')),
  refused('a vertical tab in the target', line('GET /a\x0bb HTTP/1.1')),
  refused('a bare CR in the target', line('GET /a\rb HTTP/1.1')),
  refused('a bare CR for the end of the line', `GET /a HTTP/1.1\r${H}\r\n${SMUGGLED}`),
  refused('a bare LF for the end of the line', `GET /a HTTP/1.1\n${H}\r\n${SMUGGLED}`),
  refused('bare LF for line ends', `GET /a HTTP/1.1\nHost: www.example.org\n\n${SMUGGLED}`),
  refused('a backslash in the target', line('GET /a\\b HTTP/1.1')),
  refused('a fragment in the target', line('GET /a#b HTTP/1.1')),
  refused('a target that is a query', line('GET ?a HTTP/1.1')),
  refused('a target without a slash', line('GET a HTTP/1.1')),
  refused('a target of another scheme', line('GET ftp://www.example.org/ HTTP/1.1')),
  refused('a target that names a user', line('GET http://user@www.example.org/ HTTP/1.1')),
  refused('a target without a host', line('GET http:///a HTTP/1.1')),
  refused('an asterisk for GET', line('GET * HTTP/1.1')),
  refused('an authority for GET', line('GET www.example.org:80 HTTP/1.1')),
  refused('a broken percent-encoding', line('GET /%zz HTTP/1.1')),
  refused('HTTP/1.10', line('GET /a HTTP/1.10')),
  refused('HTTP/1.01', line('GET /a HTTP/1.01')),
  refused('HTTP/1.', line('GET /a HTTP/1.')),
  refused('HTTP/11', line('GET /a HTTP/11')),
  refused('HTTP/1.2', line('GET /a HTTP/1.2')),
  refused('HTTP/0.9, by name', line('GET /a HTTP/0.9')),
  refused('HTTP/2.0', line('GET /a HTTP/2.0')),
  refused('HTTP/3.7', line('GET /a HTTP/3.7')),
  refused('http/1.1', line('GET /a http/1.1')),
  refused('ICY', line('GET /a ICY/1.1')),
  refused('a method in lower case', line('get /a HTTP/1.1')),
  refused('a method unheard of', line('FROBNICATE /a HTTP/1.1')),
  refused('a method with a comma', line('GET,POST /a HTTP/1.1')),
  refused('a method with a control', line('GE\x01T /a HTTP/1.1')),
  refused('the preface of HTTP/2', `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${SMUGGLED}`),
  refused('TLS where there is none', '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03'),
  refused('CONNECT', line('CONNECT www.example.org:443 HTTP/1.1'), 405),
  refused('CONNECT of a path', line('CONNECT /a HTTP/1.1'), 405),
  passed('empty lines before', `\r\n\r\n${line('GET /a HTTP/1.1')}`, 'GET /a', 'GET /smuggled'),
  passed(
    'a path with two slashes',
    line('GET //other.example/a HTTP/1.1'),
    'GET //other.example/a',
    'GET /smuggled',
  ),
];

/** RFC 9112 §3.2, §3.3. */
export const HOSTS: readonly Row[] = [
  refused('no host', `GET /a HTTP/1.1\r\n\r\n${SMUGGLED}`),
  refused('no host in HTTP/1.0', `GET /a HTTP/1.0\r\n\r\n${SMUGGLED}`),
  refused('two hosts', line('GET /a HTTP/1.1', `${H}Host: other.example\r\n`)),
  refused('a host twice', line('GET /a HTTP/1.1', `${H}${H}`)),
  refused(
    'two hosts beside an absolute target',
    line('GET http://www.example.org/a HTTP/1.1', `${H}${H}`),
  ),
  refused('a list of hosts', line('GET /a HTTP/1.1', 'Host: www.example.org, other.example\r\n')),
  refused('a host with a user', line('GET /a HTTP/1.1', 'Host: www.example.org@other.example\r\n')),
  refused('a host with a path', line('GET /a HTTP/1.1', 'Host: www.example.org/b\r\n')),
  refused('a host with a query', line('GET /a HTTP/1.1', 'Host: www.example.org?b\r\n')),
  refused('a host with a fragment', line('GET /a HTTP/1.1', 'Host: www.example.org#b\r\n')),
  refused('a host with two ports', line('GET /a HTTP/1.1', 'Host: www.example.org:80:80\r\n')),
  refused(
    'a port that is none',
    line('GET /a HTTP/1.1', 'Host: www.example.org:other.example\r\n'),
  ),
  refused('a host with a space', line('GET /a HTTP/1.1', 'Host: www.example.org other\r\n')),
  refused('a host with a percent-encoding', line('GET /a HTTP/1.1', 'Host: www%2eexample.org\r\n')),
  refused(
    'a space before the colon of a host',
    line('GET /a HTTP/1.1', 'Host : www.example.org\r\n'),
  ),
  refused('a folded host', line('GET /a HTTP/1.1', 'Host:\r\n www.example.org\r\n')),
  refused('a host after a space', line('GET /a HTTP/1.1', ` ${H}`)),
  refused('an empty host', line('GET /a HTTP/1.1', 'Host:\r\n')),
  {
    ...refused('a host of nobody', line('GET /a HTTP/1.1', 'Host: other.example\r\n'), 421),
    answers: [421, 200],
    sees: ['GET /smuggled'],
  },
  passed(
    'an absolute target of ours and a host of nobody',
    line('GET http://www.example.org/a HTTP/1.1', 'Host: other.example\r\n'),
    'GET /a',
    'GET /smuggled',
  ),
  {
    name: 'an absolute target of nobody and a host of ours',
    bytes: line('GET http://other.example/a HTTP/1.1'),
    answers: [421, 200],
    sees: ['GET /smuggled'],
  },
];

/** RFC 9110 §7.8, §10.1.1: what comes before it is known how the connection goes on. */
export const SWITCHES: readonly Row[] = [
  {
    name: 'a request behind an upgrade that is refused',
    bytes: `GET /a HTTP/1.1\r\n${H}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n${SMUGGLED}`,
    answers: [200],
    sees: ['GET /a'],
  },
  {
    name: 'a request behind an upgrade to h2c, which ends the connection',
    bytes: `GET /a HTTP/1.1\r\n${H}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n${SMUGGLED}`,
    answers: [200],
    sees: ['GET /a'],
  },
  {
    name: 'an upgrade with content, which ends the connection',
    bytes: `POST /a HTTP/1.1\r\n${H}Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\nx${SMUGGLED}`,
    answers: [200],
    sees: ['POST /a "x"'],
  },
  {
    name: 'an upgrade of HTTP/1.0, which ends the connection',
    bytes: `GET /a HTTP/1.0\r\n${H}Connection: Upgrade, keep-alive\r\nUpgrade: websocket\r\n\r\n${SMUGGLED}`,
    answers: [200],
    sees: ['GET /a'],
  },
  {
    name: 'a request behind one that is to be the last',
    bytes: `GET /a HTTP/1.1\r\n${H}Connection: close\r\n\r\n${SMUGGLED}`,
    answers: [200],
    sees: ['GET /a'],
  },
  {
    name: 'content that comes unasked, and a request behind it',
    bytes: `POST /a HTTP/1.1\r\n${H}Expect: 100-continue\r\nContent-Length: 1\r\n\r\nx${SMUGGLED}`,
    answers: [100, 200, 200],
    sees: ['POST /a "x"', 'GET /smuggled'],
  },
  refused(
    'another expectation',
    `POST /a HTTP/1.1\r\n${H}Expect: 100-continue, x\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
    417,
  ),
  {
    name: 'an expectation without content, which ends the connection',
    bytes: `GET /a HTTP/1.1\r\n${H}Expect: 100-continue\r\n\r\n${SMUGGLED}`,
    answers: [200],
    sees: ['GET /a', 'GET /smuggled'],
  },
];

/** RFC 9112 §5. */
export const FIELDS: readonly Row[] = [
  refused('a folded line', line('GET /a HTTP/1.1', `${H}X: x\r\n y\r\n`)),
  refused('a space before a colon', line('GET /a HTTP/1.1', `${H}X : x\r\n`)),
  refused('a line without a colon', line('GET /a HTTP/1.1', `${H}nonsense\r\n`)),
  refused('an empty name', line('GET /a HTTP/1.1', `${H}: x\r\n`)),
  refused('a name that is no token', line('GET /a HTTP/1.1', `${H}X(Y): x\r\n`)),
  refused('a name beyond ASCII', line('GET /a HTTP/1.1', `${H}X\xe9: x\r\n`)),
  refused('NUL in a value', line('GET /a HTTP/1.1', `${H}X: a\0b\r\n`)),
  refused('a control in a value', line('GET /a HTTP/1.1', `${H}X: a\x08b\r\n`)),
  refused('DEL in a value', line('GET /a HTTP/1.1', `${H}X: a\x7fb\r\n`)),
  refused('a bare CR in a value', line('GET /a HTTP/1.1', `${H}X: a\rb\r\n`)),
  refused('a bare CR before the end', `GET /a HTTP/1.1\r\n${H}\r\r\n${SMUGGLED}`),
];

const many = (count: number): string =>
  Array.from({ length: count }, (_, i) => `X-${i}: v\r\n`).join('');

export const LIMITS: readonly Row[] = [
  refused('a target too long', `GET /${'a'.repeat(8192)} HTTP/1.1\r\n${H}\r\n`, 414),
  refused('a target that fills the header section', `GET /${'a'.repeat(40_000)}`, 414),
  refused('a value too large', `GET /a HTTP/1.1\r\n${H}X: ${'a'.repeat(40_000)}\r\n\r\n`, 431),
  refused('too many fields', `GET /a HTTP/1.1\r\n${H}${many(256)}\r\n`, 431),
  refused('a host too long', `GET /a HTTP/1.1\r\nHost: ${'a.'.repeat(200)}\r\n\r\n`),
];
