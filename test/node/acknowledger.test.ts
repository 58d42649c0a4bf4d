import { expect, test } from 'vitest';
import type { Acknowledgement } from '#core/contract/report.ts';
import { Acknowledger } from '#core/node/acknowledger.ts';
import { eventually, silent } from '#test/control-plane/kit.ts';
import { FakeClock } from '#test/scenario/kit/clock.ts';

const report = (sequence: number) => ({ sequence, objects: 1, bytes: 1, fills: 0 });

/** An acknowledger whose posts end as the test says. */
function open() {
  const clock = new FakeClock();
  const posts: {
    readonly body: Omit<Acknowledgement, 'refusals'>;
    readonly end: PromiseWithResolvers<void>;
  }[] = [];
  const post = (body: Omit<Acknowledgement, 'refusals'>): Promise<void> => {
    const end = Promise.withResolvers<void>();
    posts.push({ body, end });
    return end.promise;
  };
  return { clock, posts, acknowledger: new Acknowledger({ post, clock, log: silent }) };
}

test('Acknowledger sends one at a time, and what piled up meanwhile together', async () => {
  const { posts, acknowledger } = open();
  acknowledger.add(1, undefined);
  acknowledger.add(2, report(2));
  acknowledger.add(3, report(3));
  expect(posts.map(({ body }) => body)).toEqual([{ fence: 1, purges: [] }]);
  posts[0]?.end.resolve();
  await eventually(() => expect(posts).toHaveLength(2));
  expect(posts[1]?.body).toEqual({ fence: 3, purges: [report(2), report(3)] });
});

test('Acknowledger sends again what was refused, with what came since', async () => {
  const { clock, posts, acknowledger } = open();
  acknowledger.add(2, report(2));
  posts[0]?.end.reject(new Error('refused'));
  await eventually(() => {
    clock.advance('500ms');
    expect(posts).toHaveLength(2);
  });
  acknowledger.add(3, report(3));
  posts[1]?.end.reject(new Error('refused'));
  await eventually(() => {
    clock.advance('500ms');
    expect(posts).toHaveLength(3);
  });
  expect(posts[1]?.body).toEqual({ fence: 2, purges: [report(2)] });
  expect(posts[2]?.body).toEqual({ fence: 3, purges: [report(2), report(3)] });
});

test('Acknowledger acknowledges no purge before its report is sent', async () => {
  const { posts, acknowledger } = open();
  acknowledger.add(1, undefined);
  for (let sequence = 2; sequence <= 10_003; sequence++) {
    acknowledger.add(sequence, report(sequence));
  }
  posts[0]?.end.resolve();
  await eventually(() => expect(posts).toHaveLength(2));
  posts[1]?.end.resolve();
  await eventually(() => expect(posts).toHaveLength(3));
  expect(posts.map(({ body }) => [body.fence, body.purges.length])).toEqual([
    [1, 0],
    [10_001, 10_000],
    [10_003, 2],
  ]);
});
