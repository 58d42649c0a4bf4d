// Puts objects without end into the store in the directory given, telling each that is stored.
import { pino } from 'pino';
import { systemClock } from '#core/clock.ts';
import { openDiskStore } from '#origin/disk-store.ts';

const [, , dir = ''] = process.argv;
const log = pino({ level: 'silent' });
const store = await openDiskStore({ dir, clock: systemClock, log });

async function* contentOf(round: number): AsyncGenerator<Buffer, void, undefined> {
  for (let chunk = 0; chunk < 8; chunk++) yield Buffer.alloc(20_000, `round ${round} `);
}

for (let round = 0; ; round++) {
  const path = `/${round % 3}`;
  await store.put('shop', path, {
    content: contentOf(round),
    size: undefined,
    contentType: 'text/plain',
    cacheControl: undefined,
    admit: () => undefined,
  });
  process.stdout.write(`${path} ${round}\n`);
}
