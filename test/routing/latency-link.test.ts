import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  MAX_OBSERVATIONS,
  type LatencyMapContent,
  type Observation,
} from '#core/contract/latency.ts';
import { LatencyFollower } from '#control-plane/routing/latency/follower.ts';
import { LatencyReporter } from '#control-plane/routing/latency/reporter.ts';
import { eventually, silent, temporaryDir } from '#test/control-plane/kit.ts';
import { FakeClock } from '#test/scenario/kit/clock.ts';

const mapOf = (digest: string): LatencyMapContent => ({ digest, entries: [] });

async function followed(dir?: string) {
  const clock = new FakeClock();
  const maps: string[] = [];
  /** What the control plane answers; an Error: nothing. */
  const answers: (LatencyMapContent | Error)[] = [];
  const follower = new LatencyFollower({
    dir: dir ?? (await temporaryDir()),
    clock,
    log: silent,
    ask: async () => {
      const answer = answers.shift() ?? new Error('gone');
      if (answer instanceof Error) throw answer;
      return answer;
    },
    onMap: ({ digest }) => void maps.push(digest),
  });
  return { clock, maps, answers, follower };
}

describe('a router that follows the measured latencies', () => {
  it('asks when the journal tells, once for what it tells meanwhile', async () => {
    const { maps, answers, follower } = await followed();
    answers.push(mapOf('a'), mapOf('b'), mapOf('c'));
    follower.heed();
    follower.heed();
    follower.heed();
    await eventually(() => expect(maps).toEqual(['a', 'b']));
    await follower.stop();
    expect(answers.length).toBe(1);
  });

  it('asks again until the control plane answers', async () => {
    const { clock, maps, answers, follower } = await followed();
    follower.heed();
    await eventually(() => {
      answers.splice(0, answers.length, mapOf('a'));
      clock.advance('5s');
      expect(maps).toEqual(['a']);
    });
    await follower.stop();
  });

  it('goes by what it had before a restart, but not by what is damaged', async () => {
    const dir = await temporaryDir();
    const first = await followed(dir);
    first.answers.push(mapOf('a'));
    first.follower.heed();
    await first.follower.stop();
    const second = await followed(dir);
    await second.follower.recall();
    expect(second.maps).toEqual(['a']);
    const file = join(dir, 'latencies.json');
    await writeFile(file, (await readFile(file)).subarray(0, 10));
    const third = await followed(dir);
    await third.follower.recall();
    expect(third.maps).toEqual([]);
    await (await followed()).follower.recall();
  });
});

const seen = (roundTripMs: number): Observation => ({
  network: '192.0.2.0/24',
  edge: 'oslo',
  roundTripMs,
});

describe('a router that reports latencies', () => {
  it('does so every five seconds, and keeps the latest while nobody takes them', async () => {
    const clock = new FakeClock();
    const reports: number[][] = [];
    let isGone = true;
    const reporter = new LatencyReporter({
      clock,
      log: silent,
      post: async ({ observations }) => {
        if (isGone) throw new Error('gone');
        reports.push(observations.map(({ roundTripMs }) => roundTripMs));
      },
    });
    reporter.add([seen(1), seen(2)]);
    expect(reporter.waiting).toBe(2);
    clock.advance('5s');
    await eventually(() => expect(reporter.waiting).toBe(2));
    reporter.add(Array.from({ length: MAX_OBSERVATIONS - 1 }, () => seen(3)));
    expect(reporter.waiting).toBe(MAX_OBSERVATIONS);
    isGone = false;
    await eventually(() => {
      clock.advance('5s');
      expect(reports.length).toBe(1);
    });
    expect(reports[0]?.slice(0, 2)).toEqual([2, 3]);
    await reporter.stop();
  });
});
