// Runs benchmarks and writes what they find into bench/RESULTS.md: npm run bench [-- NAME…] [--scale N] [--trace FILE…] [--only PART…] [--rounds N] [--seconds N]
import { readFile, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { accessLog } from './access-log.ts';
import type { Benchmark } from './benchmark.ts';
import { compression } from './compression.ts';
import { diskHttp } from './disk-http.ts';
import { diskStore } from './disk.ts';
import { dns } from './dns.ts';
import { hitRatio } from './hit-ratio.ts';
import { autocannonHits, hits } from './hits.ts';
import { policyCost } from './policy-cost.ts';
import { purgeFanout } from './purge-fanout.ts';
import { purgeIndex } from './purge-index.ts';
import { section, withSection } from './report.ts';
import { scale as scaleSeries } from './scale.ts';
import { startup } from './startup.ts';

const BENCHMARKS: readonly Benchmark[] = [
  compression,
  dns,
  hitRatio,
  policyCost,
  diskStore,
  diskHttp,
  hits,
  autocannonHits,
  scaleSeries,
  startup,
  purgeFanout,
  purgeIndex,
  accessLog,
];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    scale: { type: 'string', default: '1' },
    trace: { type: 'string', multiple: true, default: [] },
    only: { type: 'string', multiple: true, default: [] },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
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
const quoted = (text: string) => (text.includes(' ') ? `'${text}'` : text);
const flags = ['scale', 'only', 'rounds', 'seconds'] as const;
const said = flags.flatMap((name) =>
  [values[name] ?? []]
    .flat()
    .map((value) => (value === '1' && name === 'scale' ? '' : ` --${name} ${quoted(value)}`)),
);
const count = (text: string | undefined) => (text === undefined ? undefined : Number(text));
const options = {
  scale,
  traces: values.trace,
  only: values.only,
  rounds: count(values.rounds),
  seconds: count(values.seconds),
};
const date = new Date().toISOString().slice(0, 10);
for (const benchmark of wanted) {
  console.error(`bench: ${benchmark.name}`);
  const results = await benchmark.run(options);
  const text = section(
    benchmark,
    results,
    `npm run bench -- ${benchmark.name}${said.join('')}`,
    date,
  );
  console.log(text);
  const report = await readFile(values.out, 'utf8').catch(() => '');
  await writeFile(values.out, withSection(report, text));
}
