import { BlockList, isIP } from 'node:net';
import type {
  ANSWER_CONDITIONS,
  Conditions,
  SampleCondition,
  ValueCondition,
} from '#core/contract/rules/match.ts';
import { hash32 } from '#core/hash.ts';
import { cookieValue } from '#core/http/cookies.ts';
import { fieldValue } from '#core/http/fields.ts';
import { pathMatcher } from '#core/http/path-glob.ts';
import { wildcardMatcher } from '#core/http/wildcard.ts';
import type { AnswerFacts, RequestFacts } from './facts.ts';

type AnswerCondition = (typeof ANSWER_CONDITIONS)[number];
type RequestCondition = Exclude<keyof Conditions, AnswerCondition>;
type Value<K extends keyof Conditions> = NonNullable<Conditions[K]>;
type Test<F> = (facts: F) => boolean;

/**
 * For each condition on requests, what tests for its value; made when a rule arrives. In the order in which
 * they are looked at: first those that all requests of a URL have in common.
 */
export const REQUEST_TESTS: {
  readonly [K in RequestCondition]: (value: Value<K>) => Test<RequestFacts>;
} = {
  scheme: (scheme) => (request) => request.scheme === scheme,
  host: (patterns) => {
    const tests = patterns.map(hostTest);
    return ({ host }) => tests.some((test) => test(host));
  },
  path: (globs) => {
    const has = pathTest(globs);
    return ({ path }) => has(path);
  },
  query: (values) => allOf(values, (request, name) => request.parameter(name), false),
  method: (methods) => (request) => methods.includes(request.method),
  headers: (values) => allOf(values, ({ fields }, name) => fieldValue(fields, name), true),
  cookies: (values) => allOf(values, ({ fields }, name) => cookieValue(fields, name), false),
  address: (networks) => {
    const has = networkTest(networks);
    return ({ address }) => has(address);
  },
  country: (countries) => (request) => countries.includes(request.country),
  asn: (asns) => (request) => request.asn !== undefined && asns.includes(request.asn),
  deviceClass: (classes) => (request) => classes.includes(request.deviceClass),
  sample: sampleTest,
};

/** The same for conditions on answers. */
export const ANSWER_TESTS: {
  readonly [K in AnswerCondition]: (value: Value<K>) => Test<AnswerFacts>;
} = {
  status: (statuses) => {
    const ranges = statuses.map(rangeOf);
    return ({ status }) => ranges.some(([from, to]) => status >= from && status <= to);
  },
  contentType:
    (starts) =>
    ({ contentType }) =>
      starts.some((start) => contentType.startsWith(start)),
};

export function pathTest(globs: string | readonly string[]): Test<string> {
  const tests = [globs].flat().map(pathMatcher);
  return (path) => tests.some((test) => test(path));
}

/** @param pattern as in `hosts` of a site */
export function hostTest(pattern: string): Test<string> {
  if (pattern === '*') return () => true;
  if (!pattern.startsWith('*')) return (host) => host === pattern;
  const ending = pattern.slice(1);
  return (host) => host.endsWith(ending) && host.length > ending.length;
}

/** Whether an address is in one of the networks; what is no address is in none. */
export function networkTest(networks: readonly string[]): Test<string> {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', prefix] = network.split('/');
    list.addSubnet(address, Number(prefix), isIP(address) === 6 ? 'ipv6' : 'ipv4');
  }
  return (address) => {
    const family = isIP(address);
    return family !== 0 && list.check(address, family === 6 ? 'ipv6' : 'ipv4');
  };
}

type ValueOf = (request: RequestFacts, name: string) => string | undefined;

function allOf(
  values: Readonly<Record<string, ValueCondition>>,
  valueOf: ValueOf,
  foldsCase: boolean,
): Test<RequestFacts> {
  const tests = Object.entries(values).map(([name, condition]) => ({
    name,
    test: valueTest(condition, foldsCase),
  }));
  return (request) => tests.every(({ name, test }) => test(valueOf(request, name)));
}

function valueTest(condition: ValueCondition, foldsCase: boolean): Test<string | undefined> {
  if (typeof condition === 'boolean') return (value) => (value !== undefined) === condition;
  const fold = (text: string): string => (foldsCase ? text.toLowerCase() : text);
  const tests = [condition].flat().map((pattern) => wildcardMatcher(fold(pattern)));
  return (value) => value !== undefined && tests.some((test) => test(fold(value)));
}

const HASHES = 2 ** 32;

function sampleTest({ fraction, by, seed }: SampleCondition): Test<RequestFacts> {
  return (request) => {
    const known = by === 'address' ? undefined : request.clientId(by.cookie, by.setForSeconds);
    return hash32(seed, '\n', known ?? request.address) < fraction * HASHES;
  };
}

/** The first and last status of `404` or `"500-599"`. */
function rangeOf(status: number | string): readonly [number, number] {
  const [from = 0, to = from] = String(status).split('-').map(Number);
  return [from, to];
}
