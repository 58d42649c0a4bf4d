import { CHUNKED, H, passed, refused, type Row, SMUGGLED } from './row.ts';

/** A POST with these field lines, no content by one reading, and a request behind it by the other. */
const hiding = (fields: string): string =>
  `POST /a HTTP/1.1\r\n${H}${fields}\r\n0\r\n\r\n${SMUGGLED}`;
const both = (coding: string): string => hiding(`Content-Length: 5\r\n${coding}`);

/** RFC 9112 §6.1, §11.2: CL.TE and TE.CL. */
export const TWO_FRAMINGS: readonly Row[] = [
  refused(
    'CL.TE',
    `POST /a HTTP/1.1\r\n${H}Content-Length: ${5 + SMUGGLED.length}\r\n${CHUNKED}\r\n0\r\n\r\n${SMUGGLED}`,
  ),
  refused(
    'TE.CL',
    `POST /a HTTP/1.1\r\n${H}${CHUNKED}Content-Length: 4\r\n\r\n${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`,
  ),
  refused('CL.TE with a length of 0', hiding(`Content-Length: 0\r\n${CHUNKED}`)),
  refused(
    'CL.TE where Connection would take the length away',
    hiding(`Connection: Content-Length\r\nContent-Length: 5\r\n${CHUNKED}`),
  ),
  refused(
    'CL.TE where Connection would take the coding away',
    hiding(`Connection: Transfer-Encoding\r\nContent-Length: 5\r\n${CHUNKED}`),
  ),
  refused('chunks in HTTP/1.0', `POST /a HTTP/1.0\r\n${H}${CHUNKED}\r\n0\r\n\r\n${SMUGGLED}`),
  refused(
    'chunks in HTTP/1.0 that is kept alive',
    `POST /a HTTP/1.0\r\n${H}Connection: keep-alive\r\n${CHUNKED}\r\n0\r\n\r\n${SMUGGLED}`,
  ),
  refused(
    'CL.TE in HTTP/1.0',
    `POST /a HTTP/1.0\r\n${H}Content-Length: 5\r\n${CHUNKED}\r\n0\r\n\r\n${SMUGGLED}`,
  ),
];

/** TE.TE: a coding that one server reads and another does not. */
export const CODINGS: readonly Row[] = [
  refused('a space before the colon', both('Transfer-Encoding : chunked\r\n')),
  refused('a tab before the colon', both('Transfer-Encoding\t: chunked\r\n')),
  refused('a vertical tab before the coding', both('Transfer-Encoding: \x0bchunked\r\n')),
  refused('a vertical tab after the coding', both('Transfer-Encoding: chunked\x0b\r\n')),
  refused('a form feed before the coding', both('Transfer-Encoding: \x0cchunked\r\n')),
  refused('NUL after the coding', both('Transfer-Encoding: chunked\0\r\n')),
  refused('NUL in the name', both('Transfer-Encoding\0: chunked\r\n')),
  refused('a space in the name', both('Transfer Encoding: chunked\r\n')),
  refused('a folded coding', both('Transfer-Encoding:\r\n chunked\r\n')),
  refused('a coding folded by a tab', both('Transfer-Encoding:\r\n\tchunked\r\n')),
  refused('a folded name', both('X: x\r\n Transfer-Encoding: chunked\r\n')),
  refused('a coding after a bare LF', both('X: x\nTransfer-Encoding: chunked\r\n')),
  refused('a coding after a bare CR', both('X: x\rTransfer-Encoding: chunked\r\n')),
  refused('a coding before a bare LF', both('Transfer-Encoding: chunked\nX: x\r\n')),
  refused('a coding that ends with a bare CR', both('Transfer-Encoding: chunked\r\r\n')),
  refused('a name that begins with a control', both('\x01Transfer-Encoding: chunked\r\n')),
  refused('a quoted coding', both('Transfer-Encoding: "chunked"\r\n')),
  refused('a coding misspelt, with a length', both('Transfer-Encoding: xchunked\r\n')),
  refused('identity, with a length', both('Transfer-Encoding: identity\r\n')),
  refused('no coding, with a length', both('Transfer-Encoding:\r\n')),
  refused('two codings, the second unknown', both(`${CHUNKED}Transfer-Encoding: x\r\n`)),
  refused('two codings, the first unknown', both(`Transfer-Encoding: x\r\n${CHUNKED}`)),
  refused('two codings', both(`${CHUNKED}${CHUNKED}`)),
  refused('a coding and its list', both('Transfer-Encoding: chunked, identity\r\n')),
  refused('a coding misspelt', hiding('Transfer-Encoding: xchunked\r\n'), 501),
  refused('identity', hiding('Transfer-Encoding: identity\r\n'), 501),
  refused('chunked after identity', hiding('Transfer-Encoding: identity, chunked\r\n'), 501),
  refused('chunked before identity', hiding('Transfer-Encoding: chunked, identity\r\n')),
  refused('chunked twice', hiding('Transfer-Encoding: chunked, chunked\r\n')),
  refused('chunked twice, in two lines', hiding(`${CHUNKED}${CHUNKED}`)),
  refused('chunked after gzip', hiding('Transfer-Encoding: gzip, chunked\r\n'), 501),
  refused('gzip after chunked', hiding(`${CHUNKED}Transfer-Encoding: gzip\r\n`)),
  refused('chunked with a parameter', hiding('Transfer-Encoding: chunked;q=1\r\n'), 501),
  refused('chunked in quotes', hiding('Transfer-Encoding: "chunked"\r\n'), 501),
  refused('no coding', hiding('Transfer-Encoding:\r\n')),
  refused('an empty member', hiding('Transfer-Encoding: chunked,\r\n')),
  passed(
    'a coding in capitals, after a tab and before a space',
    `POST /a HTTP/1.1\r\n${H}Transfer-Encoding:\tCHUNKED \r\n\r\n1\r\nx\r\n0\r\n\r\n${SMUGGLED}`,
    'POST /a "x"',
    'GET /smuggled',
  ),
  passed(
    'chunks that Connection names',
    `POST /a HTTP/1.1\r\n${H}Connection: Transfer-Encoding\r\n${CHUNKED}\r\n1\r\nx\r\n0\r\n\r\n`,
    'POST /a "x"',
  ),
  passed(
    'a name with _ for -: the content goes by the length',
    `POST /a HTTP/1.1\r\n${H}Transfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`,
    'POST /a "0\r\n\r\n"',
  ),
];

const ofLength = (field: string): string =>
  `POST /a HTTP/1.1\r\n${H}${field}\r\n\r\nabc${SMUGGLED}`;

/** RFC 9112 §6.2, RFC 9110 §8.6. */
export const LENGTHS: readonly Row[] = [
  refused('two lengths', ofLength('Content-Length: 3\r\nContent-Length: 4')),
  refused('a length twice', ofLength('Content-Length: 3\r\nContent-Length: 3')),
  refused('a list of lengths', ofLength('Content-Length: 3, 3')),
  refused('a list of lengths that differ', ofLength('Content-Length: 3,4')),
  refused('a negative length', ofLength('Content-Length: -3')),
  refused('a signed length', ofLength('Content-Length: +3')),
  refused('a hexadecimal length', ofLength('Content-Length: 0x3')),
  refused('a length with a fraction', ofLength('Content-Length: 3.0')),
  refused('a length with an exponent', ofLength('Content-Length: 3e0')),
  refused('a length with a space', ofLength('Content-Length: 3 3')),
  refused('a length with an underscore', ofLength('Content-Length: 3_0')),
  refused('a length in quotes', ofLength('Content-Length: "3"')),
  refused('no length', ofLength('Content-Length:')),
  refused('a length of letters', ofLength('Content-Length: abc')),
  refused('a length that overflows 64 bits', ofLength('Content-Length: 18446744073709551619')),
  refused('a length beyond counting', ofLength(`Content-Length: ${'9'.repeat(400)}`)),
  refused('a space before the colon of a length', ofLength('Content-Length : 3')),
  refused('a length after a vertical tab', ofLength('Content-Length: \x0b3')),
  refused('a length before NUL', ofLength('Content-Length: 3\0')),
  refused('a folded length', ofLength('Content-Length:\r\n 3')),
  refused('a length after a bare LF', ofLength('X: x\nContent-Length: 3')),
  refused('a length after a bare CR', ofLength('X: x\rContent-Length: 3')),
  passed(
    'a length, with a tab and spaces around it',
    ofLength('Content-Length:\t 3 '),
    'POST /a "abc"',
    'GET /smuggled',
  ),
  passed(
    'a length with zeros before it',
    ofLength('Content-Length: 003'),
    'POST /a "abc"',
    'GET /smuggled',
  ),
  passed(
    'a length that Connection names',
    ofLength('Connection: Content-Length\r\nContent-Length: 3'),
    'POST /a "abc"',
    'GET /smuggled',
  ),
];

const content = (line: string, rest = ''): string =>
  `${line} HTTP/1.1\r\n${H}${rest}Content-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`;

/** CL.0: content of a request that some servers do not expect to have any. */
export const UNEXPECTED_CONTENT: readonly Row[] = [
  passed('GET with content', content('GET /a'), `GET /a "${SMUGGLED}"`),
  passed('DELETE with content', content('DELETE /a'), `DELETE /a "${SMUGGLED}"`),
  passed('OPTIONS with content', content('OPTIONS /a'), `OPTIONS /a "${SMUGGLED}"`),
  {
    name: 'OPTIONS of the edge with content',
    bytes: content('OPTIONS *'),
    answers: [204],
    sees: [],
  },
  {
    name: 'OPTIONS for the first hop with content',
    bytes: content('OPTIONS /a', 'Max-Forwards: 0\r\n'),
    answers: [204],
    sees: [],
  },
  refused('TRACE with content', content('TRACE /a'), 405),
  refused('content for what the edge itself has', content('POST /.canopy/echo'), 405),
  refused('content for a host of nobody', content('POST http://other.example/'), 421),
];

const inChunks = (chunks: string): string =>
  `POST /a HTTP/1.1\r\n${H}${CHUNKED}\r\n${chunks}${SMUGGLED}`;

/** RFC 9112 §7.1. */
export const CHUNKS: readonly Row[] = [
  refused('a chunk of negative size', inChunks('-1\r\na\r\n0\r\n\r\n')),
  refused('a chunk of signed size', inChunks('+1\r\na\r\n0\r\n\r\n')),
  refused('a chunk whose size has 0x', inChunks('0x1\r\na\r\n0\r\n\r\n')),
  refused('a chunk without a size', inChunks('\r\na\r\n0\r\n\r\n')),
  refused('a chunk whose size is no number', inChunks('zz\r\na\r\n0\r\n\r\n')),
  refused('a chunk whose size overflows', inChunks('FFFFFFFFFFFFFFFFF\r\na\r\n0\r\n\r\n')),
  refused('a chunk whose size wraps 64 bits', inChunks('10000000000000001\r\na\r\n0\r\n\r\n')),
  refused('a space before a size', inChunks(' 1\r\na\r\n0\r\n\r\n')),
  refused('a space after a size', inChunks('1 \r\na\r\n0\r\n\r\n')),
  refused('a tab after a size', inChunks('1\t\r\na\r\n0\r\n\r\n')),
  refused('a size that ends with a bare LF', inChunks('1\na\r\n0\r\n\r\n')),
  refused('a size that ends with a bare CR', inChunks('1\ra\r\n0\r\n\r\n')),
  refused('a chunk that ends with a bare LF', inChunks('1\r\na\n0\r\n\r\n')),
  refused('a chunk that ends with a bare CR', inChunks('1\r\na\r0\r\n\r\n')),
  refused('a chunk that does not end', inChunks('1\r\naXX0\r\n\r\n')),
  refused('a chunk longer than its size', inChunks('1\r\nabc\r\n0\r\n\r\n')),
  refused('a last chunk that ends with a bare LF', inChunks('1\r\na\r\n0\n\r\n')),
  refused('an end of chunks by bare LF', inChunks('1\r\na\r\n0\r\n\n')),
  refused('an extension that ends with a bare LF', inChunks('1;a\na\r\n0\r\n\r\n')),
  refused('an extension with a bare LF in quotes', inChunks('1;a="\n"\r\na\r\n0\r\n\r\n')),
  refused('an extension with a bare CR', inChunks('1;a\rb\r\na\r\n0\r\n\r\n')),
  refused('an extension with NUL', inChunks('1;a\0\r\na\r\n0\r\n\r\n')),
  refused('an extension without a name before a bare LF', inChunks('1;\na\r\n0\r\n\r\n')),
  refused('extensions too large', inChunks(`1;${'a'.repeat(20_000)}\r\na\r\n0\r\n\r\n`), 413),
  refused('a trailer after a bare LF', inChunks('1\r\na\r\n0\r\nX: x\nY: y\r\n\r\n')),
  refused('a folded trailer', inChunks('1\r\na\r\n0\r\nX: x\r\n y\r\n\r\n')),
  refused('a trailer without a colon', inChunks('1\r\na\r\n0\r\nnonsense\r\n\r\n')),
  passed(
    'an extension',
    inChunks('1;a=b;c="d"\r\nx\r\n0;e\r\n\r\n'),
    'POST /a "x"',
    'GET /smuggled',
  ),
  passed(
    'a size with zeros before it',
    inChunks('0001\r\nx\r\n000\r\n\r\n'),
    'POST /a "x"',
    'GET /smuggled',
  ),
  refused('a trailer that would frame', inChunks('1\r\nx\r\n0\r\nContent-Length: 10\r\n\r\n')),
  refused(
    'a trailer that would frame otherwise',
    inChunks('1\r\nx\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n'),
  ),
  passed(
    'trailers that would route or prove: dropped',
    inChunks('1\r\nx\r\n0\r\nHost: other.example\r\nAuthorization: x\r\n\r\n'),
    'POST /a "x"',
    'GET /smuggled',
  ),
];
