// Runs benchmarks and writes bench/RESULTS.md: npm run bench [-- NAME…] [--scale N] [--trace FILE…]
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Benchmark } from './benchmark.ts';
import { hitRatio } from './hit-ratio.ts';
import { policyCost } from './policy-cost.ts';
import { report, type Section } from './report.ts';

const BENCHMARKS: readonly Benchmark[] = [hitRatio, policyCost];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    scale: { type: 'string', default: '1' },
    trace: { type: 'string', multiple: true, default: [] },
    out: { type: 'string', default: 'bench/RESULTS.md' },
  },
});
const scale = Number(values.scale);
const unknown = positionals.filter((name) => BENCHMARKS.every((one) => one.name !== name));
if (unknown.length > 0 || !(scale > 0 && scale <= 1)) {
  const names = BENCHMARKS.map(({ name }) => name).join(', ');
  console.error(`bench: expected names among ${names} and a scale above 0, at most 1`);
  process.exit(1);
}
// Memory can only be told apart from garbage after a collection.
setFlagsFromString('--expose-gc');
globalThis.gc = runInNewContext('gc') as NonNullable<typeof globalThis.gc>;

const wanted = BENCHMARKS.filter(
  ({ name }) => positionals.length === 0 || positionals.includes(name),
);
const sections: Section[] = [];
for (const benchmark of wanted) {
  console.error(`bench: ${benchmark.name}`);
  sections.push({ benchmark, results: await benchmark.run({ scale, traces: values.trace }) });
}
const command = ['npm run bench', ...(scale === 1 ? [] : ['-- --scale', values.scale])].join(' ');
const text = report(sections, command, new Date().toISOString().slice(0, 10));
await writeFile(values.out, text);
console.log(text);
