import * as fc from 'fast-check';
import { connect as connectTls } from 'node:tls';
import { Duplex } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { serverNameOf } from '#core/serving/tls/client-hello.ts';

/** What OpenSSL says first to a server of this name. */
function helloFor(servername: string | undefined): Promise<Buffer> {
  return new Promise((resolve) => {
    const wire = new Duplex({
      read: () => undefined,
      write: (chunk: Buffer, _, done) => {
        resolve(chunk);
        done();
      },
    });
    const socket = connectTls({ socket: wire, ...(servername !== undefined && { servername }) });
    socket.on('error', () => undefined);
  });
}

describe('the name in a ClientHello', () => {
  test('is found, whole or in pieces, and none is none', async () => {
    expect(serverNameOf(await helloFor('WWW.Example.org'))).toBe('www.example.org');
    expect(serverNameOf(await helloFor(undefined))).toBe('');
    const hello = await helloFor('a.example');
    for (let end = 0; end < hello.length; end++) {
      expect(serverNameOf(hello.subarray(0, end))).toBeUndefined();
    }
    expect(serverNameOf(Buffer.concat([hello, Buffer.from('more')]))).toBe('a.example');
  });

  test('is found in a message of many records', async () => {
    const message = (await helloFor('a.example')).subarray(5);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), (size) => {
        const records: Buffer[] = [];
        for (let at = 0; at < message.length; at += size) {
          const part = message.subarray(at, at + size);
          records.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part);
        }
        expect(serverNameOf(Buffer.concat(records))).toBe('a.example');
      }),
    );
  });

  test('of anything at all is a text or nothing yet, never an error', async () => {
    const hello = await helloFor('a.example');
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 64 }),
        fc.nat(hello.length - 1),
        fc.nat(255),
        (noise, at, byte) => {
          const changed = Buffer.from(hello);
          changed[at] = byte;
          for (const bytes of [Buffer.from(noise), changed]) {
            expect(['string', 'undefined']).toContain(typeof serverNameOf(bytes));
          }
        },
      ),
    );
    expect(serverNameOf(Buffer.from('GET / HTTP/1.1\r\n'))).toBe('');
  });
});
