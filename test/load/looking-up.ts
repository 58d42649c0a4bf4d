// Run as a process of its own, with `--expose-gc`: tells how many bytes of heap a lookup takes.
import { setImmediate } from 'node:timers/promises';
import { Body } from '#core/cache/body.ts';
import { MemoryStore } from '#core/cache/memory.ts';
import { responseFacts } from '#core/cache/policy/response.ts';

const LOOKUPS = 300_000;
const store = new MemoryStore(64_000_000);
const keys = Array.from({ length: 1000 }, (_, i) => `key ${i}`);
for (const [i, key] of keys.entries()) {
  store.put({
    key,
    site: 'site',
    selector: '',
    fields: [],
    facts: responseFacts(200, [], 0),
    body: new Body([Buffer.alloc(1000 + 7 * i)]),
    initialAgeMs: 0,
    receivedAt: 0,
    asOf: 0,
    softPurgedAt: undefined,
  });
}
const lookUp = (count: number): void => {
  for (let i = 0; i < count; i++) store.lookup(keys[i % keys.length] ?? '');
};
// The least of several rounds: V8 makes the code that counts while the first ones run.
let leastBytes = Infinity;
for (let round = 0; round < 10; round++) {
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  lookUp(LOOKUPS);
  leastBytes = Math.min(leastBytes, process.memoryUsage().heapUsed - before);
  await setImmediate();
}
process.stdout.write(`${leastBytes / LOOKUPS}`);
