import { type Benchmark, cpuNs, interleaved, median, usedBytes } from './benchmark.ts';
import { type Contender, CONTENDERS, type MakeContender, PEER } from './contenders.ts';
import { makeTrace } from './traces.ts';

const OBJECTS = 1_000_000;
const MEAN_BYTES = 35_000;
const ROUNDS = 3;

function filled(make: MakeContender, keys: readonly string[], count: number): Contender {
  const cache = make(count * MEAN_BYTES);
  for (let i = 0; i < count; i++) cache.set(keys[i] ?? '', i, MEAN_BYTES);
  return cache;
}

export const policyCost: Benchmark = {
  name: 'policy-cost',
  about:
    'Processor time per operation and memory per object (beside key and value) with a million ' +
    'objects held, against lru-cache: uses of what is held, and a Zipf 0.8 mix of uses and, for ' +
    'what is missed, insertions with eviction. Median of three interleaved rounds.',
  run({ scale }) {
    const count = Math.ceil(OBJECTS * scale);
    const trace = makeTrace({
      name: 'mixed',
      requests: count,
      objects: 2 * count,
      zipf: 0.8,
      sizes: 'web',
    });
    const keys = Array.from(trace.bytes, (_, id) => `site http://www.example.org/path/${id}`);
    const bytesPerObject = new Map<string, number>();
    const mixedNs = new Map<string, number[]>();
    const names = [...CONTENDERS.keys()];
    const getNs = interleaved(names, ROUNDS, (name) => {
      const before = usedBytes();
      const cache = filled(CONTENDERS.get(name) as MakeContender, keys, count);
      bytesPerObject.set(name, (usedBytes() - before) / count);
      const start = cpuNs();
      for (let i = 0; i < count; i++) cache.get(keys[(i * 7919) % count] ?? '');
      const middle = cpuNs();
      for (const id of trace.ids) {
        const key = keys[id] ?? '';
        if (cache.get(key) === undefined) cache.set(key, id, trace.bytes[id] ?? 1);
      }
      const mixed = (cpuNs() - middle) / trace.ids.length;
      mixedNs.set(name, [...(mixedNs.get(name) ?? []), mixed]);
      return (middle - start) / count;
    });
    const peer = { get: median(getNs.get(PEER) ?? []), mixed: median(mixedNs.get(PEER) ?? []) };
    const rows = names.map((name) => {
      const get = median(getNs.get(name) ?? []);
      const mixed = median(mixedNs.get(name) ?? []);
      return [
        name,
        get.toFixed(0),
        (get / peer.get).toFixed(2),
        mixed.toFixed(0),
        (mixed / peer.mixed).toFixed(2),
        (bytesPerObject.get(name) ?? NaN).toFixed(0),
      ];
    });
    const columns = ['cache', 'use, ns', 'ratio', 'mixed, ns', 'ratio', 'bytes per object'];
    return [{ title: 'Cost', columns, rows }];
  },
};
