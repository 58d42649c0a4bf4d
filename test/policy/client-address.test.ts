import { describe, expect, test } from 'vitest';
import { TrustedProxies } from '#core/serving/client-address.ts';
import { fieldLines } from '#core/http/fields.ts';
import { readRequest } from '#core/http/request.ts';
import { forwardedFields, withClient } from '#core/tree/forward.ts';

const trusted = new TrustedProxies(['10.0.0.0/8', '192.0.2.1', 'fd00::/8']);

const received = (host: string) =>
  readRequest({
    method: 'GET',
    target: '/',
    encrypted: false,
    fields: ['Host', host, 'Forwarded', 'for=6.6.6.6', 'Canopy-Tier-Key', 'guess', 'DNT', '1'],
  });

describe('the client', () => {
  test.for<[peer: string, forwardedFor: string | undefined, client: string, why: string]>([
    ['203.0.113.9', undefined, '203.0.113.9', 'nobody before it'],
    ['203.0.113.9', '198.51.100.1', '203.0.113.9', 'a client may claim nothing'],
    ['10.1.2.3', '198.51.100.1', '198.51.100.1', 'a trusted proxy tells whom it saw'],
    ['10.1.2.3', '6.6.6.6, 198.51.100.1', '198.51.100.1', 'what the client sent is not believed'],
    ['10.1.2.3', '198.51.100.1, 192.0.2.1', '198.51.100.1', 'through two trusted proxies'],
    ['10.1.2.3', '10.9.9.9, 192.0.2.1', '10.9.9.9', 'all of them trusted: the farthest'],
    ['10.1.2.3', undefined, '10.1.2.3', 'a trusted proxy that tells nothing is the client'],
    ['10.1.2.3', '198.51.100.1, unknown', '10.1.2.3', 'beyond what cannot be read nothing counts'],
    ['10.1.2.3', '198.51.100.1:4711', '198.51.100.1', 'with a port'],
    ['fd00::1', '[2001:db8::7]:443', '2001:db8::7', 'IPv6, bracketed with a port'],
    ['fd00::1', '2001:db8::7', '2001:db8::7', 'IPv6, bare'],
    ['::ffff:10.1.2.3', '198.51.100.1', '198.51.100.1', 'IPv4 on a socket for both'],
    ['::ffff:203.0.113.9', undefined, '203.0.113.9', 'is written as IPv4'],
    ['', '198.51.100.1', '', 'a connection that has gone'],
  ])('%s with X-Forwarded-For %s is %s: %s', ([peer, forwardedFor, client]) => {
    const fields = forwardedFor === undefined ? [] : ['X-Forwarded-For', forwardedFor];
    expect(trusted.client(peer, fields).address).toBe(client);
  });

  test.for<[peer: string, proto: string, scheme: string | undefined]>([
    ['203.0.113.9', 'https', undefined],
    ['10.1.2.3', 'https', 'https'],
    ['10.1.2.3', 'https, http', 'http'],
    ['10.1.2.3', 'gopher', undefined],
  ])('%s may say that the scheme was %s: %s', ([peer, proto, scheme]) => {
    expect(trusted.client(peer, ['X-Forwarded-Proto', proto]).scheme).toBe(scheme);
  });

  test('without trusted proxies no field is looked at', () => {
    const none = new TrustedProxies([]);
    expect(none.client('10.1.2.3', ['X-Forwarded-For', '1.2.3.4']).address).toBe('10.1.2.3');
  });
});

describe('what the next hop is told of it', () => {
  test.for<[address: string, host: string, forwarded: string]>([
    ['203.0.113.9', 'www.example.org', 'for=203.0.113.9;host=www.example.org;proto=https'],
    ['2001:db8::7', '[::1]', 'for="[2001:db8::7]";host="[::1]";proto=https'],
  ])('%s at %s: RFC 7239 §4', ([address, host, forwarded]) => {
    const request = withClient(received(host), { address, scheme: 'https' });
    expect(request.scheme).toBe('https');
    const by = { node: 'edge-oslo', network: 'canopy-0' };
    const fields = forwardedFields(request, by);
    expect(fieldLines(fields, 'forwarded')).toEqual([forwarded]);
    expect(fieldLines(fields, 'x-forwarded-for')).toEqual([address]);
    expect(fieldLines(fields, 'x-forwarded-host')).toEqual([host]);
    expect(fieldLines(fields, 'x-forwarded-proto')).toEqual(['https']);
    expect(fieldLines(fields, 'canopy-tier-key')).toEqual([]);
    // A mid-tier passes on what the edge said.
    expect(fieldLines(forwardedFields({ ...request, fields }, by), 'forwarded')).toEqual([
      forwarded,
    ]);
  });
});
