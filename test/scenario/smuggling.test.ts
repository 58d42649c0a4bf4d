import { CORPUS } from './corpus/corpus.ts';
import type { Row } from './corpus/row.ts';
import { expectOf } from './kit/expect-of.ts';
import { type RawAnswer, RawClient } from './kit/raw.ts';
import { type Cast, scenario, type World } from './kit/scenario.ts';
import { StrictOrigin } from './kit/strict-origin.ts';

// RFC 9112 §11: no client makes two requests of one on the way up, or has another served what is not
// the other's.

const HOST = 'Host: www.example.org\r\n';

async function isHarmless({ edge, purge }: World, origin: StrictOrigin, row: Row): Promise<void> {
  const expectIt = expectOf(row.name);
  const client = new RawClient(edge().url).send(row.bytes);
  const answers: RawAnswer[] = [];
  while (answers.length < row.answers.length) answers.push(await client.answer());
  // Whoever waits for more is told that there is none.
  client.socket.end();
  expectIt(await client.closed()).toBe('');
  expectIt(answers.map(({ status }) => status)).toEqual(row.answers);
  for (const { status, headers } of answers) {
    if (status >= 400) expectIt(headers['content-type']).toBe('application/problem+json');
    if (status === 400 || status === 501) expectIt(headers['connection']).toBe('close');
    if (status === 405) expectIt(headers['allow']).toContain('GET');
  }
  // What is pipelined is asked for side by side.
  expectIt(origin.requests.splice(0).toSorted()).toEqual(row.sees.toSorted());
  for (const path of ['/innocent', '/other', '/innocent']) {
    const innocent = new RawClient(edge().url).send(`GET ${path} HTTP/1.1\r\n${HOST}\r\n`);
    expectIt(await innocent.answer()).toMatchObject({ status: 200, body: `GET ${path}` });
    innocent.socket.destroy();
  }
  expectIt(origin.requests.splice(0)).toEqual(['GET /innocent', 'GET /other']);
  purge('everything');
}

const TREES: readonly (readonly [string, Cast])[] = [
  ['edge, origin', { midTiers: [] }],
  ['edge, mid-tier, origin', {}],
];

for (const [tree, cast] of TREES) {
  for (const [about, rows] of Object.entries(CORPUS)) {
    scenario(`${tree}: ${rows.length} requests about ${about}`, cast, async (world) => {
      const origin = await new StrictOrigin().up();
      world.changeSite({ origin: { kind: 'pull', servers: [{ url: origin.url }] } });
      try {
        for (const row of rows) await isHarmless(world, origin, row);
      } finally {
        await origin.down();
      }
    });
  }
}
