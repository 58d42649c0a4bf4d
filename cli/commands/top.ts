import type { Command } from 'commander';
import { delay, systemClock } from '#core/clock.ts';
import { messageOf } from '#core/errors.ts';
import type { ApiClient } from '../api-client.ts';
import { connect, type ConnectionOptions, withConnection } from '../connection.ts';
import { duration } from '../duration.ts';
import { print } from '../output.ts';
import { Screen } from '../top/screen.ts';
import { type Snapshot, takeSnapshot } from '../top/snapshot.ts';
import { topText } from '../top/text.ts';

interface TopOptions extends ConnectionOptions {
  readonly once: boolean;
  /** Seconds. */
  readonly interval: number;
}

export function addTop(program: Command): void {
  withConnection(
    program
      .command('top')
      .description('the network live: nodes, requests, hit ratio, latency, origin, purges')
      .option('--once', 'show it once and end', false)
      .option('--interval <duration>', 'how often it is asked anew', duration, 2),
  ).action(async (options: TopOptions) => {
    const api = await connect(options);
    // Without a terminal nobody could end it.
    const isLive = !options.once && !options.json && process.stdout.isTTY && process.stdin.isTTY;
    if (isLive) await live(api, options.interval * 1000);
    else {
      const snapshot = await takeSnapshot(api, Date.now());
      print(options.json, snapshot, () => topText(snapshot));
    }
  });
}

async function live(api: ApiClient, intervalMs: number): Promise<void> {
  let last: Snapshot | undefined;
  let problem = '';
  const draw = (): void => {
    const height = screen.rows - 2;
    const text = last === undefined ? '' : topText(last, { order: screen.order, height });
    screen.draw(problem === '' ? text : `${problem}\n${text}`);
  };
  const screen = new Screen(process.stdin, process.stdout, draw);
  const { ended } = screen;
  try {
    for (;;) {
      try {
        last = await Promise.race([takeSnapshot(api, Date.now()), ended.then(() => last)]);
        problem = '';
      } catch (error) {
        // It goes on: a control plane that starts anew is what one wants to watch.
        problem = `cannot be asked: ${messageOf(error)}`;
      }
      if (screen.isLeft) return;
      draw();
      await Promise.race([delay(systemClock, intervalMs), ended]);
      if (screen.isLeft) return;
    }
  } finally {
    screen.close();
  }
}
