import { createConnection } from 'node:net';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import packet from 'dns-packet';
import { describe, expect, it, onTestFinished } from 'vitest';
import { configOf, edgeNode, Served, sourceOf, WELL } from './dns-kit.ts';

const LONDON = '+subnet=81.2.69.0/24';

/** What real clients are told, line by line of what the issue and the RFCs ask for. */
const ROWS: readonly {
  readonly title: string;
  readonly ask: readonly string[];
  /** Parts of what dig and kdig print. */
  readonly says: readonly string[];
  readonly never?: readonly string[];
}[] = [
  {
    title: 'A by client subnet',
    ask: ['film.cdn.example', 'A', LONDON],
    says: ['IN A 198.18.0.1', 'CLIENT-SUBNET: 81.2.69.0/24/'],
  },
  { title: 'AAAA', ask: ['film.cdn.example', 'AAAA', LONDON], says: ['IN AAAA 3fff::1'] },
  {
    title: 'AAAA for a client of IPv6',
    ask: ['film.cdn.example', 'AAAA', '+subnet=2001:200::/32'],
    says: ['IN AAAA 3fff::5', 'CLIENT-SUBNET: 2001:200::/32/'],
  },
  {
    title: 'HTTPS, its hints as A and AAAA answer',
    ask: ['film.cdn.example', 'HTTPS', LONDON],
    says: ['HTTPS 1 . alpn=', 'ipv4hint=198.18.0.1', 'ipv6hint=3fff::1'],
  },
  {
    title: 'a wildcard of a site',
    ask: ['any.wild.cdn.example', 'A', LONDON],
    says: ['any.wild.cdn.example. 30 IN A 198.18.0.1'],
  },
  {
    title: 'an edge as it serves the site',
    ask: ['tokyo.film.cdn.example', 'A', LONDON],
    says: ['IN A 198.18.0.5'],
  },
  {
    title: 'CNAME within the zone, followed',
    ask: ['alias.cdn.example', 'A', LONDON],
    says: ['IN CNAME film.cdn.example.', 'film.cdn.example. 30 IN A 198.18.0.1'],
  },
  {
    title: 'CNAME to elsewhere',
    ask: ['away.cdn.example', 'A'],
    says: ['NOERROR', 'IN CNAME www.elsewhere.example.'],
  },
  {
    title: 'CNAME itself',
    ask: ['alias.cdn.example', 'CNAME'],
    says: ['IN CNAME film.cdn.example.'],
    never: ['IN A '],
  },
  {
    title: 'NS with glue',
    ask: ['cdn.example', 'NS'],
    says: ['IN NS ns1.cdn.example.', 'ns1.cdn.example. 3600 IN A 198.18.1.1', 'IN AAAA 3fff:1::1'],
  },
  {
    title: 'SOA',
    ask: ['cdn.example', 'SOA'],
    says: ['IN SOA ns1.cdn.example. hostmaster.cdn.example. 42 '],
  },
  { title: 'TXT', ask: ['_acme-challenge.film.cdn.example', 'TXT'], says: ['IN TXT "proof"'] },
  { title: 'CAA', ask: ['cdn.example', 'CAA'], says: ['IN CAA 0 issue "letsencrypt.org"'] },
  {
    title: 'NXDOMAIN with SOA',
    ask: ['no.cdn.example', 'A'],
    says: ['NXDOMAIN', 'cdn.example. 30 IN SOA'],
  },
  {
    title: 'NODATA with SOA',
    ask: ['film.cdn.example', 'MX'],
    says: ['NOERROR', 'cdn.example. 30 IN SOA'],
  },
  {
    title: 'an empty non-terminal',
    ask: ['empty.cdn.example', 'A'],
    says: ['NOERROR', 'cdn.example. 30 IN SOA'],
  },
  { title: 'another one', ask: ['deep.empty.cdn.example', 'TXT'], says: ['NOERROR', 'IN SOA'] },
  {
    title: 'nothing below a name that is no wildcard',
    ask: ['x.ns1.cdn.example', 'A'],
    says: ['NXDOMAIN'],
  },
  {
    title: 'REFUSED outside',
    ask: ['www.elsewhere.example', 'A'],
    says: ['REFUSED'],
    never: [' aa'],
  },
  {
    title: 'ANY by RFC 8482',
    ask: ['film.cdn.example', 'ANY', '+notcp'],
    says: ['IN HINFO "RFC8482" ""'],
  },
  { title: 'an unknown type', ask: ['film.cdn.example', 'TYPE65280'], says: ['NOERROR', 'IN SOA'] },
  {
    title: 'AXFR refused',
    ask: ['cdn.example', 'AXFR', '+tcp'],
    says: [],
    never: ['IN SOA', '198.18'],
  },
  {
    title: 'another version of EDNS',
    ask: ['film.cdn.example', 'A', '+edns=1', '+noednsneg'],
    says: ['BADVERS'],
  },
  {
    title: 'an unknown option',
    ask: ['film.cdn.example', 'A', '+ednsopt=65001:aabb', LONDON],
    says: ['NOERROR', 'IN A 198.18.0.1'],
  },
  { title: 'NSID', ask: ['film.cdn.example', 'A', '+nsid'], says: ['router-1'] },
  { title: 'DO is repeated', ask: ['film.cdn.example', 'A', '+dnssec'], says: ['flags: do'] },
  {
    title: 'what is too long for UDP is cut off',
    ask: ['big.cdn.example', 'TXT', '+ignore'],
    says: ['tc', 'NOERROR'],
    never: ['aaaa'],
  },
  { title: 'and comes by TCP', ask: ['big.cdn.example', 'TXT'], says: ['aaaa', '(TCP)'] },
  {
    title: 'TCP',
    ask: ['film.cdn.example', 'A', '+tcp', LONDON],
    says: ['IN A 198.18.0.1', '(TCP)'],
  },
  {
    title: 'no EDNS, none answered',
    ask: ['film.cdn.example', 'A', '+noedns'],
    says: ['NOERROR'],
    never: ['EDNS', 'OPT'],
  },
  {
    title: 'the case of the question',
    ask: ['FiLm.cDn.ExAmPlE', 'A', LONDON],
    says: ['FiLm.cDn.ExAmPlE. 30 IN A 198.18.0.1'],
  },
];

const plain = (output: string): string => output.replaceAll(/[ \t]+/g, ' ');

describe('the DNS server', () => {
  it.each(ROWS)('answers dig: $title', async ({ ask, says, never = [] }) => {
    const output = plain(await (await Served.start()).dig('+qr', ...ask).then(afterQuery));
    for (const part of says) expect(output).toContain(part);
    for (const part of never) expect(output).not.toContain(part);
  });

  it('answers kdig over IPv6, and tells the scope', async () => {
    const served = await Served.start({ host: '::1' });
    const output = plain(await served.kdig('film.cdn.example', 'AAAA', LONDON, '+nsid', '+edns'));
    expect(output).toContain('IN AAAA 3fff::1');
    expect(output).toContain('CLIENT-SUBNET: 81.2.69.0/24/');
    expect(output).toContain('router-1');
  });

  it.each([
    ['too many octets', '8:000118000a0b0c0d'],
    ['a bit beyond the prefix', '8:00011700510245'],
    ['a family that is none', '8:00031800510245'],
    ['a scope in the query', '8:00011818510245'],
  ])('refuses a malformed client subnet: %s', async (_, option) => {
    const served = await Served.start();
    expect(await served.kdig('film.cdn.example', 'A', `+ednsopt=${option}`)).toContain('FORMERR');
  });

  it('gives a client that does not want to be told by address an answer of scope 0', async () => {
    const served = await Served.start();
    const output = await served.dig('film.cdn.example', 'A', '+subnet=0.0.0.0/0');
    expect(output).toContain('CLIENT-SUBNET: 0.0.0.0/0/0');
    expect(output).toContain('198.18.0.');
  });

  it('takes its own cookie back', async () => {
    const served = await Served.start({ perSecond: 1 });
    const first = await served.dig('film.cdn.example', 'A', '+cookie=0123456789abcdef');
    const [, cookie = ''] = /COOKIE: ([0-9a-f]{48}) \(good\)/.exec(first) ?? [];
    expect(cookie).toMatch(/^0123456789abcdef01000000/);
    // The limit is used up; who has proved its address is not limited.
    for (let i = 0; i < 3; i++) {
      const again = await served.dig('film.cdn.example', 'A', `+cookie=${cookie}`);
      expect(again).toContain('NOERROR');
    }
    expect(served.counters.dropped).toBe(0);
  });

  it('limits answers to a network, and has every second come by TCP', async () => {
    const served = await Served.start({ perSecond: 1 });
    const socket = createSocket('udp4');
    onTestFinished(() => void socket.close());
    const answers: packet.DecodedPacket[] = [];
    socket.on('message', (message) => answers.push(packet.decode(message)));
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    for (let id = 1; id <= 5; id++) socket.send(query(id), served.port, '127.0.0.1');
    await expect.poll(() => served.counters.dropped).toBe(2);
    await expect.poll(() => answers.length).toBe(3);
    expect(answers.map(({ id, flag_tc: isCut }) => [id, isCut])).toEqual([
      [1, false],
      [3, true],
      [5, true],
    ]);
    expect(await served.dig('film.cdn.example', 'A', '+tcp')).toContain('NOERROR');
  });

  it('answers pipelined queries by TCP, however they are cut into pieces', async () => {
    const served = await Served.start();
    const connection = createConnection(served.port, '127.0.0.1');
    onTestFinished(() => void connection.destroy());
    connection.setNoDelay(true);
    const queries = Array.from({ length: 20 }, (_, id) => framed(query(id)));
    const bytes = Buffer.concat(queries);
    let received = Buffer.alloc(0);
    connection.on('data', (chunk: Buffer) => (received = Buffer.concat([received, chunk])));
    for (let at = 0; at < bytes.length; at += 7) {
      if (!connection.write(bytes.subarray(at, at + 7))) await once(connection, 'drain');
    }
    const ids = (): number[] => {
      const found: number[] = [];
      for (let at = 0; at + 2 <= received.length; at += 2 + received.readUInt16BE(at)) {
        if (at + 4 <= received.length) found.push(received.readUInt16BE(at + 2));
      }
      return found;
    };
    await expect.poll(ids).toEqual(Array.from({ length: 20 }, (_, id) => id));
  });

  it('never answers an answer, nor what is no message', async () => {
    const served = await Served.start();
    const socket = createSocket('udp4');
    onTestFinished(() => void socket.close());
    const received: Buffer[] = [];
    socket.on('message', (message) => received.push(message));
    const anAnswer = query(1);
    anAnswer[2] = 0x80;
    for (const message of [anAnswer, Buffer.from('x'), query(2)]) {
      socket.send(message, served.port, '127.0.0.1');
    }
    await expect.poll(() => received.length).toBe(1);
    expect(packet.decode(received[0] ?? Buffer.alloc(0)).id).toBe(2);
    expect(served.counters.ignored).toBe(2);
  });

  it('names nobody when the site wants none in the last resort: the resolver asks another router', async () => {
    const config = configOf({
      sites: [
        {
          name: 'strict',
          hosts: ['s.example'],
          origin: { kind: 'push' },
          routing: { lastResort: 'none' },
        },
      ],
    });
    const source = sourceOf(config, { viewOf: () => ({ ...WELL, condition: 'down' }) });
    const served = await Served.start({ source });
    expect(await served.dig('strict.cdn.example', 'A')).toContain('SERVFAIL');
    expect(await served.dig('film.cdn.example', 'A')).toContain('198.18.0.');
  });

  it('says NODATA for a family that no edge has', async () => {
    const source = sourceOf(configOf({ nodes: [edgeNode('oslo', ['198.18.0.1'])] }));
    const served = await Served.start({ source });
    const output = plain(await served.dig('film.cdn.example', 'AAAA'));
    expect(output).toContain('NOERROR');
    expect(output).toContain('IN SOA');
  });

  it('answers from the nearest edge that has the family', async () => {
    const nodes = [edgeNode('oslo', ['3fff::1']), edgeNode('tokyo', ['198.18.0.5'])];
    const served = await Served.start({ source: sourceOf(configOf({ nodes })) });
    expect(await served.records('film.cdn.example', 'A', LONDON)).toEqual([
      'film.cdn.example. IN A 198.18.0.5',
    ]);
    expect(await served.records('film.cdn.example', 'AAAA', LONDON)).toEqual([
      'film.cdn.example. IN AAAA 3fff::1',
    ]);
  });
});

/** What follows the query that `+qr` prints first. */
const afterQuery = (output: string): string => output.split('Got answer').at(-1) ?? '';

const query = (id: number): Buffer =>
  packet.encode({ type: 'query', id, questions: [{ type: 'A', name: 'film.cdn.example' }] });

function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}
