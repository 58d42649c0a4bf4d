// Run as worker threads: each fills a store in the memory that they share, a tick in each round.
import { parentPort, workerData } from 'node:worker_threads';
import { Body } from '#core/cache/body.ts';
import { MemoryStore } from '#core/cache/memory.ts';
import { type MemoryLedger, MemoryShare } from '#core/cache/memory-share.ts';
import { responseFacts } from '#core/cache/policy/response.ts';

const { ledger, slot } = workerData as { ledger: MemoryLedger; slot: number };
const store = new MemoryStore(new MemoryShare(ledger, slot));

let state = slot + 1;
const random = (): number => {
  state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
  return (state >>> 8) / 2 ** 24;
};

let count = 0;
function put(): void {
  const fields = ['ETag', `"${count}"`];
  const size = Math.ceil(random() * (count % 50 === 0 ? 400_000 : 8000));
  store.put({
    key: `${slot} ${count++}`,
    site: 'site',
    selector: '',
    fields,
    facts: responseFacts(200, fields, 0),
    body: new Body([Buffer.allocUnsafeSlow(size)]),
    initialAgeMs: 0,
    receivedAt: 0,
    asOf: 0,
    softPurgedAt: undefined,
  });
  store.lookup(`${slot} ${Math.floor(random() * count)}`);
}

parentPort?.on('message', (puts: number) => {
  for (let i = 0; i < puts; i++) put();
  store.rebalance();
  parentPort?.postMessage(store.volume().bytes);
});
