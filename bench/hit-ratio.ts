import { readLogs } from '#cli/simulate/requests.ts';
import type { Benchmark } from './benchmark.ts';
import { CONTENDERS, type MakeContender } from './contenders.ts';
import { footprintBytes, makeTrace, SHAPES, type Trace } from './traces.ts';

const FRACTIONS = [0.001, 0.01, 0.1] as const;

/** Objects and bytes answered from the cache, of 1. */
function hitRatios(
  trace: Trace,
  keys: readonly string[],
  make: MakeContender,
  budgetBytes: number,
) {
  const cache = make(budgetBytes);
  let hits = 0;
  let hitBytes = 0;
  let totalBytes = 0;
  for (const id of trace.ids) {
    const key = keys[id] ?? '';
    const bytes = Math.max(1, trace.bytes[id] ?? 0);
    totalBytes += bytes;
    if (cache.get(key) !== undefined) {
      hits++;
      hitBytes += bytes;
    } else if (bytes <= budgetBytes) cache.set(key, id, bytes);
  }
  return { objects: hits / trace.ids.length, bytes: hitBytes / totalBytes };
}

async function given(file: string): Promise<Trace> {
  const { ids, bytes } = await readLogs([file]);
  return { name: file.split('/').at(-1) ?? '', ids, bytes: Float64Array.from(bytes) };
}

/** In percent, objects and bytes. */
const cell = ({ objects, bytes }: ReturnType<typeof hitRatios>): string =>
  `${(100 * objects).toFixed(1)} / ${(100 * bytes).toFixed(1)}`;

export const hitRatio: Benchmark = {
  name: 'hit-ratio',
  about:
    'Hit ratio by object / by byte, percent, of every policy, lru-cache and FIFO over generated ' +
    'requests (`bench/traces.ts`), at caches of 0.1, 1 and 10 percent of all that is asked for. ' +
    'Caches start empty; what is larger than the cache is not put.',
  async run({ scale, traces }) {
    const generated = SHAPES.map((shape) => ({
      ...shape,
      requests: Math.ceil(shape.requests * scale),
      objects: Math.ceil(shape.objects * scale),
      ...(shape.scanObjects !== undefined && { scanObjects: Math.ceil(shape.scanObjects * scale) }),
    }));
    const sources: (() => Trace | Promise<Trace>)[] = [
      ...generated.map((shape) => () => makeTrace(shape)),
      ...traces.map((file) => () => given(file)),
    ];
    const rows: string[][] = [];
    for (const source of sources) {
      const trace = await source();
      const keys = Array.from(trace.bytes, (_, id) => `key ${id}`);
      const footprint = footprintBytes(trace);
      for (const fraction of FRACTIONS) {
        const cells = [...CONTENDERS.values()].map((make) =>
          cell(hitRatios(trace, keys, make, Math.ceil(footprint * fraction))),
        );
        rows.push([trace.name, `${100 * fraction} %`, ...cells]);
      }
    }
    return [{ title: 'Hit ratio', columns: ['requests', 'cache', ...CONTENDERS.keys()], rows }];
  },
};
