import { addressesOf, familyOf } from '#core/contract/node-addresses.ts';
import type { Node } from '#core/contract/node.ts';
import type { Site } from '#core/contract/site.ts';
import type { Prefix } from '../engine/prefix.ts';
import type { Choice, RoutedSite } from '../routes.ts';
import type { Signers } from './dnssec/signed.ts';
import { RCODE, TYPE } from './wire/codes.ts';
import { type Labels, labelsOf } from './wire/names.ts';
import type { Question } from './wire/query.ts';
import {
  bare,
  type Denial,
  refused,
  type RecordData,
  type ResourceRecord,
  type Response,
} from './wire/response.ts';
import type { Entry, Found, ServedZone, Zones } from './zones.ts';

/** What answers are made from. */
export interface AnswerSource {
  readonly zones: Zones;
  /** Of each zone's SOA: rises with every change. */
  readonly serial: number;
  readonly nodes: ReadonlyMap<string, Node>;
  /** Of the zones that are signed, by their names. */
  readonly signers: Signers;
  choose(site: RoutedSite, client: Prefix, family: 4 | 6): Choice;
  /** What routes follow from: another once they may be others. */
  situation(): object;
  /** For how long an answer that names edges of the site may be kept, seconds. */
  ttlSeconds(site: Site): number;
}

/** A response, and how much of the client's address it depends on: 0 is nothing of it. */
export interface Answer {
  readonly response: Response;
  readonly scopeLength: number;
}

/** CNAMEs in our own zones that are followed in one answer. */
const MAX_CNAMES = 8;

/** What an answer costs that tells of nothing but itself (RFC 8482 §4.2). */
const ANY_TTL_SECONDS = 3600;

/** Answers a question that is well formed. @param client whom the answer is for */
export function answer(source: AnswerSource, question: Question, client: Prefix): Answer {
  const { type } = question;
  const found = source.zones.find(question.labels);
  if (found.kind === 'elsewhere') return { response: refused, scopeLength: 0 };
  if (type === TYPE.AXFR || type === TYPE.IXFR) return { response: refused, scopeLength: 0 };
  const asked = { source, type, client };
  return answerFound(asked, question.labels, found, []);
}

interface Asked {
  readonly source: AnswerSource;
  readonly type: number;
  readonly client: Prefix;
}

function answerFound(
  asked: Asked,
  labels: Labels,
  found: Exclude<Found, { kind: 'elsewhere' }>,
  before: readonly ResourceRecord[],
): Answer {
  const { source, type } = asked;
  const { zone } = found;
  if (found.kind !== 'entry') {
    return negative(source, zone, { name: labels, exists: found.kind === 'empty' }, before);
  }
  const { entry } = found;
  const alias = entry.records.find((record) => record.type === 'CNAME');
  if (alias?.type === 'CNAME' && type !== TYPE.CNAME && type !== TYPE.ANY) {
    const [target = ''] = alias.values;
    const step = {
      name: labels,
      ttlSeconds: alias.ttlSeconds,
      data: { type: 'CNAME', target } as const,
    };
    return follow(asked, target, [...before, step]);
  }
  const told = recordsFor(asked, labels, zone, entry);
  if (told === 'nobody') {
    // Another router may see more; the resolver is to ask it.
    return { response: bare(RCODE.SERVFAIL), scopeLength: 0 };
  }
  if (told.records.length === 0) {
    const all = source.signers.size === 0 ? [] : typesAt(source, labels, zone, entry);
    const types = all.filter((one) => one !== type);
    const denied = { name: labels, exists: true, types };
    return negative(source, zone, denied, before, told.scopeLength);
  }
  const answers = [...before, ...told.records];
  return {
    response: { ...positive(answers), additional: glue(source, told.records) },
    scopeLength: told.scopeLength,
  };
}

function follow(asked: Asked, target: string, before: readonly ResourceRecord[]): Answer {
  const labels = labelsOf(target);
  const found = asked.source.zones.find(labels);
  if (found.kind === 'elsewhere' || before.length > MAX_CNAMES) {
    return { response: positive(before), scopeLength: 0 };
  }
  return answerFound(asked, labels, found, before);
}

interface Told {
  readonly records: readonly ResourceRecord[];
  readonly scopeLength: number;
}

/** Records that are the same for everybody. */
const fixed = (records: readonly ResourceRecord[]): Told => ({ records, scopeLength: 0 });

/** @returns `nobody` where the site has edges, but none may be named */
function recordsFor(asked: Asked, labels: Labels, zone: ServedZone, entry: Entry): Told | 'nobody' {
  const { type, source } = asked;
  const at = (ttlSeconds: number, data: RecordData): ResourceRecord => ({
    name: labels,
    ttlSeconds,
    data,
  });
  const isApex = labels.length === labelsOf(zone.name).length;
  switch (type) {
    case TYPE.ANY:
      return fixed([at(ANY_TTL_SECONDS, { type: 'HINFO', cpu: 'RFC8482', os: '' })]);
    case TYPE.SOA:
      return fixed(isApex ? [soa(source, zone, zone.ttlSeconds)] : []);
    case TYPE.DNSKEY: {
      const key = isApex ? source.signers.get(zone.name)?.key : undefined;
      return fixed(
        key === undefined ? [] : [at(zone.ttlSeconds, { type: 'DNSKEY', rdata: key.rdata })],
      );
    }
    case TYPE.NS:
      return fixed(
        isApex ? zone.hosts.map((target) => at(zone.ttlSeconds, { type: 'NS', target })) : [],
      );
    case TYPE.A:
    case TYPE.AAAA: {
      const family = type === TYPE.A ? 4 : 6;
      const constant = staticRecords(entry, type, at);
      if (entry.site === undefined || constant.length > 0) {
        const own = (entry.addresses ?? []).filter((address) => familyOf(address) === family);
        return fixed([
          ...constant,
          ...own.map((address) => at(zone.ttlSeconds, addressData(address))),
        ]);
      }
      const routed = routedAddresses(asked, entry.site, family);
      if (routed === 'nobody') return routed;
      const ttlSeconds = source.ttlSeconds(entry.site);
      const records = routed.addresses.map((address) => at(ttlSeconds, addressData(address)));
      return { records, scopeLength: routed.scopeLength };
    }
    case TYPE.HTTPS:
      return entry.site === undefined ? fixed([]) : service(asked, entry.site, at);
    default:
      return fixed(staticRecords(entry, type, at));
  }
}

/** Types of which the name may have records, for whomever. */
function typesAt(
  { signers }: AnswerSource,
  labels: Labels,
  zone: ServedZone,
  { site, addresses, records }: Entry,
): readonly number[] {
  const isApex = labels.length === labelsOf(zone.name).length;
  const ofSite = [TYPE.A, TYPE.AAAA, ...(site?.routing.alpn.length === 0 ? [] : [TYPE.HTTPS])];
  return [
    ...new Set<number>([
      ...records.map(({ type }) => TYPE[type]),
      ...(site === undefined ? [] : ofSite),
      ...(addresses ?? []).map((address) => (familyOf(address) === 4 ? TYPE.A : TYPE.AAAA)),
      ...(isApex ? [TYPE.SOA, TYPE.NS] : []),
      ...(isApex && signers.has(zone.name) ? [TYPE.DNSKEY] : []),
    ]),
  ];
}

type At = (ttlSeconds: number, data: RecordData) => ResourceRecord;

function staticRecords({ records }: Entry, type: number, at: At): ResourceRecord[] {
  return records
    .filter((record) => TYPE[record.type] === type)
    .flatMap((record) => dataOf(record).map((data) => at(record.ttlSeconds, data)));
}

function dataOf(record: Entry['records'][number]): readonly RecordData[] {
  switch (record.type) {
    case 'A':
    case 'AAAA':
      return record.values.map(addressData);
    case 'CNAME':
      return record.values.map((target) => ({ type: 'CNAME', target }));
    case 'TXT':
      return record.values.map((text) => ({ type: 'TXT', text }));
    case 'CAA':
      return record.values.map((value) => ({ type: 'CAA', ...value }));
  }
}

const addressData = (address: string): RecordData => ({
  type: familyOf(address) === 4 ? 'A' : 'AAAA',
  address,
});

interface RoutedAddresses {
  readonly addresses: readonly string[];
  readonly scopeLength: number;
}

function routedAddresses(
  { source, client }: Asked,
  site: Site,
  family: 4 | 6,
): RoutedAddresses | 'nobody' {
  const { chosen, lacksFamily, scope } = source.choose(site, client, family);
  if (chosen.length === 0 && !lacksFamily) return 'nobody';
  const addresses = chosen.flatMap(({ name }) => {
    const node = source.nodes.get(name);
    return node === undefined ? [] : addressesOf(node).filter((one) => familyOf(one) === family);
  });
  return { addresses, scopeLength: scope.length };
}

/** RFC 9460: what the site's edges speak, with the addresses that A and AAAA would give as hints. */
function service(asked: Asked, site: Site, at: At): Told | 'nobody' {
  const { alpn } = site.routing;
  if (alpn.length === 0) return { records: [], scopeLength: 0 };
  const [ipv4, ipv6] = [routedAddresses(asked, site, 4), routedAddresses(asked, site, 6)];
  if (ipv4 === 'nobody' || ipv6 === 'nobody') return 'nobody';
  const record = at(asked.source.ttlSeconds(site), {
    type: 'HTTPS',
    priority: 1,
    target: '',
    alpn,
    ipv4Hints: ipv4.addresses,
    ipv6Hints: ipv6.addresses,
  });
  return { records: [record], scopeLength: Math.max(ipv4.scopeLength, ipv6.scopeLength) };
}

function positive(answers: readonly ResourceRecord[]): Response {
  return { ...bare(RCODE.NOERROR), isAuthoritative: true, answers };
}

/** RFC 2308 §3: what does not exist is said with the SOA, whose TTL says how long that holds. */
function negative(
  source: AnswerSource,
  zone: ServedZone,
  { name, exists, types = [] }: Pick<Denial, 'name' | 'exists'> & Partial<Pick<Denial, 'types'>>,
  answers: readonly ResourceRecord[],
  scopeLength = 0,
): Answer {
  const ttlSeconds = Math.min(zone.ttlSeconds, zone.negativeTtlSeconds);
  const authorities = [soa(source, zone, ttlSeconds)];
  const denial = { name, zone: zone.name, exists, types, ttlSeconds };
  const code = bare(exists ? RCODE.NOERROR : RCODE.NXDOMAIN);
  const response = { ...code, isAuthoritative: true, answers, authorities, denial };
  return { response, scopeLength };
}

/** Nobody transfers these zones, so only the serial and the negative TTL matter to anyone. */
function soa({ serial }: AnswerSource, zone: ServedZone, ttlSeconds: number): ResourceRecord {
  return {
    name: labelsOf(zone.name),
    ttlSeconds,
    data: {
      type: 'SOA',
      primary: zone.hosts[0] ?? zone.name,
      mailbox: `hostmaster.${zone.name}`,
      serial: serial >>> 0,
      refreshSeconds: 3600,
      retrySeconds: 600,
      expireSeconds: 604_800,
      negativeTtlSeconds: zone.negativeTtlSeconds,
    },
  };
}

/** Addresses of the name servers that are told, where we have them. */
function glue({ zones }: AnswerSource, records: readonly ResourceRecord[]): ResourceRecord[] {
  return records.flatMap(({ data, ttlSeconds }) => {
    if (data.type !== 'NS') return [];
    const name = labelsOf(data.target);
    const found = zones.find(name);
    const addresses = found.kind === 'entry' ? (found.entry.addresses ?? []) : [];
    return addresses.map((address) => ({ name, ttlSeconds, data: addressData(address) }));
  });
}
