#!/usr/bin/env node
// Launches the command line interface: its sources in a checkout, what was built of them elsewhere.
// Plain JavaScript that an old Node can read, to say what is wrong or to start a newer one.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

const OLDEST_MAJOR = 24;

const source = new URL('./main.ts', import.meta.url);
const built = new URL('../dist/cli/main.js', import.meta.url);
const main = existsSync(source) ? source : built;
const pinnedNode = fileURLToPath(new URL('../node_modules/node/bin/node', import.meta.url));

if (Number(process.versions.node.split('.')[0]) >= OLDEST_MAJOR) {
  await import(main.href);
} else if (existsSync(pinnedNode)) {
  runWith(pinnedNode);
} else {
  console.error(
    `canopy: Node ${OLDEST_MAJOR} or newer is needed, this is ${process.versions.node}`,
  );
  process.exitCode = 1;
}

function runWith(node) {
  const child = spawn(node, [fileURLToPath(main), ...process.argv.slice(2)], {
    // The channel carries nothing: that it closes tells the child that we are gone.
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  });
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  process.on('SIGINT', () => {
    // A terminal sends its Ctrl-C to the child as well, which must not take it for a second one.
    if (!process.stdin.isTTY) child.kill('SIGINT');
  });
  child.on('error', (error) => {
    console.error(`canopy: cannot start ${node}: ${error.message}`);
    process.exitCode = 1;
  });
  child.on('exit', (code, signal) => {
    process.exit(code === null ? 128 + constants.signals[signal] : code);
  });
}
