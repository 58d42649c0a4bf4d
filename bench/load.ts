import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import autocannon from 'autocannon';
import { Pool } from 'undici';

const run = promisify(execFile);

const pinnedRun = (pinned: readonly string[], line: readonly string[]) => {
  const [file = '', ...args] = [...pinned, ...line];
  return run(file, args);
};

/** What is asked for, and how. */
export interface Load {
  readonly url: string;
  /** Paths: one, one of several, all anew each time, or by Zipf's law. */
  readonly paths: Paths;
  readonly fields: Readonly<Record<string, string>>;
  readonly connections: number;
  readonly seconds: number;
  /** What binds a process to the core of the load. */
  readonly pinned: readonly string[];
  /** For its files. */
  readonly dir: string;
}

export type Paths =
  | { readonly kind: 'one'; readonly path: string }
  | {
      readonly kind: 'several';
      readonly prefix: string;
      readonly objects: number;
      readonly bytes: number;
    }
  | { readonly kind: 'new'; readonly prefix: string; readonly bytes: number }
  | { readonly kind: 'zipf'; readonly objects: number; readonly exponent: number }
  /** Any of so many, each as likely; they go round the hosts. */
  | {
      readonly kind: 'among';
      readonly objects: number;
      readonly bytes: number;
      readonly hosts: number;
    };

export interface Loaded {
  readonly requests: number;
  readonly seconds: number;
  /** Statuses of 400 and more, and answers that did not come. */
  readonly failed: number;
  /** ms. */
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

const LUA_PATHS = {
  one: ({ path }: Paths & { kind: 'one' }) => `request = nil; wrk.path = "${path}"`,
  new: ({ prefix, bytes }: Paths & { kind: 'new' }) => `
local count = 0
request = function()
  count = count + 1
  return wrk.format(nil, "/${prefix}-" .. count .. "/${bytes}")
end`,
  several: ({ prefix, objects, bytes }: Paths & { kind: 'several' }) => `
math.randomseed(os.time())
request = function()
  return wrk.format(nil, "/${prefix}-" .. math.random(${objects}) .. "/${bytes}")
end`,
  // The sum of the probabilities up to each object, searched by halves; sizes of 2 to 16 KiB.
  zipf: ({ objects, exponent }: Paths & { kind: 'zipf' }) => `
local sums, total = {}, 0
for i = 1, ${objects} do total = total + 1 / i ^ ${exponent}; sums[i] = total end
math.randomseed(os.time())
request = function()
  local wanted, low, high = math.random() * total, 1, ${objects}
  while low < high do
    local middle = math.floor((low + high) / 2)
    if sums[middle] < wanted then low = middle + 1 else high = middle end
  end
  return wrk.format(nil, "/zipf-" .. low .. "/" .. 2048 * (1 + low % 8))
end`,
  among: ({ objects, bytes, hosts }: Paths & { kind: 'among' }) => `
math.randomseed(os.time())
request = function()
  local one = math.random(0, ${objects - 1})
  wrk.headers["Host"] = "h" .. one % ${hosts} .. ".bench.example"
  return wrk.format(nil, "/among-" .. one .. "/${bytes}")
end`,
} as const;

/** By wrk, of one thread. */
export async function wrk(load: Load): Promise<Loaded> {
  const { url, paths, fields, connections, seconds, pinned, dir } = load;
  const script = join(dir, 'load.lua');
  const set = Object.entries(fields).map(([name, value]) => `wrk.headers["${name}"] = '${value}'`);
  await writeFile(
    script,
    `wrk.headers["Host"] = "bench.example"
${set.join('\n')}
${LUA_PATHS[paths.kind](paths as never)}
done = function(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format("COUNTED %d %d %d %d %d %d\\n", summary.requests, summary.duration, failed,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
`,
  );
  const how = ['-t', '1', '-c', String(connections), '-d', `${seconds}s`, '-s', script];
  const { stdout } = await pinnedRun(pinned, ['wrk', ...how, url]);
  const counted = /^COUNTED (.*)$/m.exec(stdout)?.[1];
  if (counted === undefined) throw new Error(`wrk has counted nothing: ${stdout}`);
  const [requests = 0, us = 1, failed = 0, ...percentiles] = counted.split(' ').map(Number);
  const [p50 = 0, p99 = 0, p999 = 0] = percentiles.map((one) => one / 1000);
  return { requests, seconds: us / 1e6, failed, p50, p99, p999 };
}

/** Asks for each object once, so that a cache has it. */
export async function fill(
  url: string,
  { objects, bytes, hosts }: Paths & { kind: 'among' },
): Promise<void> {
  const pool = new Pool(url, { connections: 32 });
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < objects) {
      const one = next++;
      const headers = { host: `h${one % hosts}.bench.example` };
      const { statusCode, body } = await pool.request({
        method: 'GET',
        path: `/among-${one}/${bytes}`,
        headers,
      });
      await body.dump();
      if (statusCode !== 200) throw new Error(`${one} of ${objects}: ${statusCode}`);
    }
  };
  await Promise.all(Array.from({ length: 64 }, worker));
  await pool.close();
}

/** HTTP/2 by h2load, ten streams on each connection. */
export async function h2load(load: Load): Promise<Loaded> {
  const { url, paths, fields, connections, seconds, pinned, dir } = load;
  if (paths.kind !== 'one') throw new Error('h2load asks for one path');
  const log = join(dir, 'h2load.log');
  await writeFile(log, '');
  const named = Object.entries(fields).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
  const how = ['-c', String(connections), '-m', '10', '-D', String(seconds), '--log-file', log];
  const target = new URL(paths.path, url);
  const asked = ['--connect-to', target.host, ...named, `https://bench.example${target.pathname}`];
  const { stdout } = await pinnedRun(pinned, ['h2load', ...how, ...asked]);
  const requests = Number(/(\d+) succeeded/.exec(stdout)?.[1] ?? 0);
  const failed = Number(/(\d+) failed/.exec(stdout)?.[1] ?? 0);
  const tookUs = (await readFile(log, 'latin1'))
    .split('\n')
    .flatMap((row) => row.split('\t')[2] ?? [])
    .map(Number)
    .toSorted((a, b) => a - b);
  const at = (part: number): number => (tookUs[Math.floor(part * tookUs.length)] ?? NaN) / 1000;
  return { requests, seconds, failed, p50: at(0.5), p99: at(0.99), p999: at(0.999) };
}

/** By autocannon in this process, for who has no wrk. */
export async function cannon(load: Load): Promise<Loaded> {
  const { url, paths, fields, connections, seconds } = load;
  if (paths.kind !== 'one') throw new Error('autocannon asks for one path');
  const result = await autocannon({
    url: new URL(paths.path, url).href,
    connections,
    duration: seconds,
    headers: { host: 'bench.example', ...fields },
  });
  const { requests, duration, latency, non2xx, errors } = result;
  const failed = (fields['If-None-Match'] === undefined ? non2xx : 0) + errors;
  const { p50, p99, p99_9: p999 } = latency;
  return { requests: requests.total, seconds: duration, failed, p50, p99, p999 };
}
