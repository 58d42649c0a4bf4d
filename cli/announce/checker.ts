import { setTimeout as wait } from 'node:timers/promises';
import { Agent } from 'undici';
import { EXIT } from '../exit-codes.ts';
import { Bird, type BirdOptions } from './bird.ts';
import { check, type CheckOptions } from './check.ts';
import type { Verdict } from './decision.ts';

// The process that checks, a child of the announcer. Either withdraws when the other dies.

/** What it is started with: one argument, JSON. */
export interface CheckerOptions {
  readonly check: CheckOptions;
  readonly intervalMs: number;
  /** Left out: ExaBGP starts a dead announcer anew, which then withdraws. */
  readonly bird?: BirdOptions;
}

const { check: checks, intervalMs, bird } = JSON.parse(process.argv[2] ?? '') as CheckerOptions;

// Who stops the announcer may signal its whole group; the announcer ends this process.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined);
process.on('disconnect', () => {
  const withdrawn = bird === undefined ? Promise.resolve() : new Bird(bird).set(false);
  withdrawn.then(
    () => process.exit(EXIT.done),
    () => process.exit(EXIT.failed),
  );
});

const agent = new Agent({ connections: 2 });
while (process.connected) {
  const verdict: Verdict = await check(checks, agent);
  if (process.connected) process.send?.(verdict);
  await wait(intervalMs);
}
