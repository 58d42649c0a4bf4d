import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cpus } from 'node:os';
import { delimiter, join } from 'node:path';

/** What binds the servers to the first core, and the load to another; this process goes with the load. */
export function coresOf(): readonly [serving: readonly string[], loading: readonly string[]] {
  if (cpus().length < 2 || !isThere('taskset')) {
    console.error(
      'bench: without a second core and taskset, server and load get in each other’s way',
    );
    return [[], []];
  }
  bindSelf('1');
  return [
    ['taskset', '-c', '0'],
    ['taskset', '-c', '1'],
  ];
}

/** Takes back what `coresOf` does to this process. */
export function unbindSelf(): void {
  if (cpus().length >= 2 && isThere('taskset')) bindSelf(`0-${cpus().length - 1}`);
}

const bindSelf = (cores: string): void => {
  execFileSync('taskset', ['-a', '-p', '-c', cores, String(process.pid)], { stdio: 'ignore' });
};

/** Whether a command is installed. */
export const isThere = (command: string): boolean =>
  [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin'].some((dir) =>
    existsSync(join(dir, command)),
  );
