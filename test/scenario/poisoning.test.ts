import type { SiteInput } from '#core/contract/site.ts';
import { expectOf } from './kit/expect-of.ts';
import { RawClient } from './kit/raw.ts';
import { scenario } from './kit/scenario.ts';
import { type OriginAnswer, StrictOrigin } from './kit/strict-origin.ts';

// What a client sends besides what tells objects apart does not reach others by what is stored. The
// origin here believes everything that it is told, and has all of it kept.

const HOST = 'www.example.org';

/** What it was told, so that whoever gets the answer sees it. */
function credulous(head: string, said: string): OriginAnswer {
  const told = head
    .split('\r\n')
    .slice(1)
    .filter((line) => /^(?:host|x-|forwarded|front|authorization)/i.test(line));
  const keep = 'Cache-Control: max-age=60\r\n';
  const refusal = REFUSALS.find(([pattern]) => pattern.test(head));
  if (refusal !== undefined) return { status: refusal[1], fields: '', body: 'refused' };
  if (said.startsWith('GET /account')) {
    return { status: 200, fields: 'Set-Cookie: session=1\r\n', body: 'private' };
  }
  return { status: 200, fields: keep, body: [said, ...told].join('\n').toLowerCase() };
}

/** Statuses that a server has for what it cannot read: RFC 9110 has caches keep some of them. */
const REFUSALS: readonly (readonly [RegExp, number])[] = [
  [/x-big: /i, 431],
  [/x-odd: /i, 400],
  [/x-http-method-override: /i, 405],
];

interface Row {
  readonly name: string;
  /** Field lines of the attacker, with their ends. */
  readonly fields?: string;
  readonly target?: string;
  /** What nobody else may find in the answer; and nothing of it is sent upstream. */
  readonly hides?: RegExp;
  /** What the victim asks for; by default the same. */
  readonly victim?: string;
  /** What the victim's answer has to have. */
  readonly gets?: RegExp;
  /** Whether the victim is served what the attacker has had stored. */
  readonly isShared: boolean;
  readonly site?: Partial<SiteInput>;
  readonly hostHeader?: string;
}

const dropped = (field: string): Row => ({
  name: `${field}: goes no further`,
  fields: `${field}: evil\r\n`,
  hides: /evil/,
  isShared: true,
});

const ROWS: readonly Row[] = [
  ...[
    'Forwarded',
    'X-Forwarded-For',
    'X-Forwarded-Host',
    'X-Forwarded-Port',
    'X-Forwarded-Prefix',
    'X-Forwarded-Proto',
    'X-Forwarded-Scheme',
    'X-Forwarded-Server',
    'X-Forwarded-Ssl',
    'X-Url-Scheme',
    'Front-End-Https',
    'X-Host',
    'X-Original-Host',
    'X-Original-URL',
    'X-Rewrite-URL',
    'X-HTTP-Method',
    'X-HTTP-Method-Override',
    'X-Method-Override',
  ].map(dropped),
  {
    ...dropped('X-Forwarded-Host'),
    name: 'X-Forwarded-Host twice',
    fields: 'X-Forwarded-Host: evil\r\nX-Forwarded-Host: evil\r\n',
  },
  {
    name: 'what the edge says of the client cannot be taken away by Connection',
    fields: 'Connection: X-Forwarded-Host, X-Forwarded-For\r\n',
    gets: /x-forwarded-host: www\.example\.org/,
    isShared: true,
  },
  {
    name: "the host in capitals, with a port and a dot, where servers see the client's",
    fields: '',
    target: 'http://WWW.Example.org.:1234/page',
    victim: '/page',
    hides: /1234/,
    gets: /^host: www\.example\.org$/m,
    isShared: true,
    hostHeader: 'client',
  },
  {
    name: 'GET with content (a fat GET) is passed on, and not stored',
    fields: 'Content-Length: 4\r\n\r\nevil',
    gets: /^get \/page$/m,
    isShared: false,
  },
  {
    name: 'a parameter that does not count, and one behind ; that would: both are left out',
    target: '/page?utm_source=x;callback=evil',
    victim: '/page',
    hides: /evil/,
    isShared: true,
    site: { key: { query: { exclude: ['utm_source'] } } },
  },
  {
    name: 'a parameter behind ; of one that counts makes another object',
    target: '/page?callback=safe;callback=evil',
    victim: '/page?callback=safe',
    gets: /callback=safe$/m,
    isShared: false,
    site: { key: { query: { include: ['callback'] } } },
  },
  {
    name: 'a parameter twice makes another object',
    target: '/page?callback=safe&callback=evil',
    victim: '/page?callback=safe',
    gets: /callback=safe$/m,
    isShared: false,
  },
  {
    name: 'dot segments are gone before the key and the origin',
    target: '/x/../page',
    victim: '/page',
    gets: /^get \/page$/m,
    isShared: true,
  },
  {
    name: 'so are encoded ones',
    target: '/x/%2e%2e/page',
    victim: '/page',
    gets: /^get \/page$/m,
    isShared: true,
  },
  {
    name: 'and half encoded ones',
    target: '/x/.%2E/page',
    victim: '/page',
    gets: /^get \/page$/m,
    isShared: true,
  },
  {
    name: 'unreserved characters are decoded',
    target: '/%70age',
    victim: '/page',
    gets: /^get \/page$/m,
    isShared: true,
  },
  {
    name: 'two slashes are not one',
    target: '//page',
    victim: '/page',
    gets: /^get \/page$/m,
    isShared: false,
  },
  {
    name: 'an encoded slash is not a slash',
    target: '/a%2Fpage',
    victim: '/a/page',
    gets: /^get \/a\/page$/m,
    isShared: false,
  },
  {
    name: 'an encoded backslash is no slash',
    target: '/a%5Cpage',
    victim: '/a/page',
    gets: /^get \/a\/page$/m,
    isShared: false,
  },
  {
    name: 'an encoded question mark is no query',
    target: '/page%3Fx',
    victim: '/page?x',
    gets: /^get \/page\?x$/m,
    isShared: false,
  },
  {
    name: 'a parameter of a segment makes another object',
    target: '/page;x=evil',
    victim: '/page',
    gets: /^get \/page$/m,
    isShared: false,
  },
  ...[
    '/account/x.css',
    '/account;x.css',
    '/account%2Fx.css',
    '/account%3Fx.css',
    '/account%23x.css',
    '/account%00x.css',
    '/account%0Ax.css',
  ].map((target): Row => ({
    name: `${target}: what a path ends with makes nothing storable`,
    target,
    gets: /^private$/,
    isShared: false,
  })),
  {
    name: 'an oversize header that the origin refuses (HHO): not stored',
    fields: `X-Big: ${'x'.repeat(16_000)}\r\n`,
    gets: /^get \/page$/m,
    isShared: false,
  },
  {
    name: 'a character that the origin refuses (HMC): not stored',
    fields: 'X-Odd: \xff\r\n',
    gets: /^get \/page$/m,
    isShared: false,
  },
];

scenario(
  'nothing that is not part of the key reaches others',
  { midTiers: [] },
  async ({ edge, purge, changeSite }) => {
    const origin = await new StrictOrigin(credulous).up();
    const ask = async (target: string, fields = '') => {
      const client = new RawClient(edge().url);
      const ends = fields.includes('\r\n\r\n') ? '' : '\r\n';
      client.send(`GET ${target} HTTP/1.1\r\nHost: ${HOST}\r\n${fields}${ends}`);
      const answer = await client.answer();
      client.socket.destroy();
      return answer;
    };
    try {
      for (const row of ROWS) {
        const expectIt = expectOf(row.name);
        const { target = '/page', fields, hides, victim, gets, isShared, site } = row;
        const { hostHeader = 'origin' } = row;
        const servers = [{ url: origin.url }];
        changeSite({ ...site, origin: { kind: 'pull', hostHeader, servers } });
        await ask(target, fields);
        const innocent = await ask(victim ?? target);
        expectIt(innocent.status).toBe(200);
        if (hides !== undefined) expectIt(innocent.body).not.toMatch(hides);
        if (hides !== undefined) expectIt(origin.heads.join('\n')).not.toMatch(hides);
        if (gets !== undefined) expectIt(innocent.body).toMatch(gets);
        expectIt(origin.heads.splice(0).length).toBe(isShared ? 1 : 2);
        purge('everything');
      }
    } finally {
      await origin.down();
    }
  },
);

scenario(
  'a POST may say that it is another method, and nothing of it is stored',
  { midTiers: [] },
  async ({ origin, edge }) => {
    origin.notes('x-http-method-override');
    origin.answersTo('POST /a', { status: 200, cacheControl: 'max-age=60' });
    const headers = { 'X-HTTP-Method-Override': 'DELETE' };
    await edge().send('/a', { method: 'POST', headers }).sees({ status: 200 });
    origin.saw('POST /a x-http-method-override DELETE');
    origin.answers('/a', { body: 'a' });
    await edge().get('/a').sees({ body: 'a' });
  },
);
