import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import type { ApiClient } from '../api-client.ts';
import type { RotationPhase } from '../api-types.ts';
import { connect, type ConnectionOptions, withConnection } from '../connection.ts';
import { EXIT } from '../exit-codes.ts';
import { print } from '../output.ts';
import { seconds } from './purge.ts';

interface RotateOptions extends ConnectionOptions {
  readonly wait: boolean;
  readonly timeout: number;
}

const LOOK_MS = 250;

const PHASES: Readonly<Record<RotationPhase, string>> = {
  none: 'every node presents the new key, and the old one is refused',
  announced: 'nodes learn the new key, and present the old one',
  switched: 'nodes present the new key, and still take the old one',
};

export function addTierKey(program: Command): void {
  const tierKey = program
    .command('tier-key')
    .description('the secret that nodes know one another by');
  withConnection(
    tierKey
      .command('rotate')
      .description('replace it, with no request refused on the way')
      .option('--wait', 'wait until the old key is refused', false)
      .option('--timeout <seconds>', 'how long to wait', seconds, 60),
  ).action(async (options: RotateOptions) => {
    const api = await connect(options);
    const begun = await api.rotateTierKey();
    const phase = options.wait ? await lastPhase(api, options.timeout * 1000) : begun;
    print(options.json, { tierKeyRotation: phase }, () => PHASES[phase]);
    if (options.wait && phase !== 'none') process.exitCode = EXIT.incomplete;
  });
}

/** `none`, or how far it is after `timeoutMs`. */
async function lastPhase(api: ApiClient, timeoutMs: number): Promise<RotationPhase> {
  const endMs = performance.now() + timeoutMs;
  for (;;) {
    const phase = await api.tierKeyRotation();
    if (phase === 'none' || performance.now() >= endMs) return phase;
    await delay(LOOK_MS);
  }
}
