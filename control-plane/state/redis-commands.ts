import { randomUUID } from 'node:crypto';
import type { CertificateEntry } from '#core/contract/certificate.ts';
import type { CurrentRelease, JournalEvent } from '#core/contract/event.ts';
import type { Ban } from '#core/contract/purge.ts';
import { siteChangeOf, switchOf } from '#core/node/config.ts';
import type { Draft } from './records.ts';
import { fieldOf } from './redis-records.ts';
import { KEY_NAMES, type KeyName } from './redis-scripts.ts';
import type { NodeCredential, PurgeRecord } from './store.ts';
import { hexOf, type TokenRecord, writtenToken } from './token.ts';

/** Of all that is kept, raised with every change that an older Canopy does not know. */
export const VERSION = '4';

export type Command = readonly [command: string, key: KeyName, ...rest: (string | number)[]];

export const put = (name: KeyName, field: string, value: string | number): Command => [
  'HSET',
  name,
  field,
  value,
];

/** A command as the script takes it: its length, its name, the number of its key, its arguments. */
export const packed = ([command, key, ...rest]: Command): (string | number)[] => [
  rest.length + 2,
  command,
  KEY_NAMES.indexOf(key) + 1,
  ...rest,
];

export function commandsOf(event: JournalEvent, by: string): readonly Command[] {
  return [
    ['XADD', 'journal', `${event.sequence}-0`, 'by', by, 'event', JSON.stringify(event)],
    put('head', 'sequence', event.sequence),
    ...changesOf(event),
  ];
}

function changesOf(event: JournalEvent): readonly Command[] {
  const change = siteChangeOf(event);
  if (change !== undefined) {
    return [
      ...change.put.map((site) => put('sites', site.name, JSON.stringify(site))),
      ...change.delete.flatMap((name): Command[] => [
        ['HDEL', 'sites', name],
        ['HDEL', 'releases', name],
      ]),
    ];
  }
  switch (event.type) {
    case 'canary.begin':
      return [put('head', 'canary', JSON.stringify(event.canary))];
    case 'canary.end':
      return [['HDEL', 'head', 'canary']];
    case 'node.put':
      return [put('nodes', event.node.name, JSON.stringify(event.node))];
    case 'node.delete':
      return [['HDEL', 'nodes', event.name]];
    case 'certificate.put':
      return [putCertificate(event.certificate)];
    case 'certificate.delete':
      return [['HDEL', 'certificates', event.name]];
    case 'network.put':
      return [
        // The first of all names the journal; later ones find it named.
        ['HSETNX', 'head', 'journal', randomUUID()],
        ['HSETNX', 'head', 'version', VERSION],
        put('head', 'network', JSON.stringify(event.network)),
      ];
    case 'purge': {
      const switched = switchOf(event);
      return switched === undefined ? [] : [putRelease(...switched)];
    }
    // What others do to bans depends on those that are there, see `banCommands`.
    default:
      return [];
  }
}

export const credentialCommands = ({ node, digest }: NodeCredential): readonly Command[] => [
  put('credentials', hexOf(digest), node),
  put('credential_of', node, hexOf(digest)),
];

export const tokenCommands = (token: TokenRecord): readonly Command[] => [
  put('tokens', hexOf(token.digest), JSON.stringify(writtenToken(token))),
  put('token_of', token.name, hexOf(token.digest)),
  ...(token.previous === null
    ? []
    : [put('previous_tokens', hexOf(token.previous.digest), token.name)]),
];

/** Whether it may change which bans there are. */
export const concernsBans = (event: JournalEvent): boolean =>
  event.type === 'purge'
    ? event.purge.mode === 'ban'
    : event.type === 'ban.lift' || (siteChangeOf(event)?.delete.length ?? 0) > 0;

export function banCommands(before: readonly Ban[], after: readonly Ban[]): readonly Command[] {
  const [known, kept] = [new Set(before), new Set(after)];
  return [
    ...before
      .filter((ban) => !kept.has(ban))
      .map(({ sequence }): Command => ['HDEL', 'bans', sequence]),
    ...after.filter((ban) => !known.has(ban)).map(putBan),
  ];
}

export const putRelease = (site: string, release: CurrentRelease): Command =>
  put('releases', site, JSON.stringify(release));
export const putCertificate = (certificate: CertificateEntry): Command =>
  put('certificates', certificate.name, JSON.stringify(certificate));

export const putBan = (ban: Ban): Command => put('bans', String(ban.sequence), JSON.stringify(ban));

export const purgeCommands = (purge: PurgeRecord): readonly Command[] => [
  put('purges', purge.id, JSON.stringify(purge)),
  ...requestCommands(purge),
  ['ZADD', 'purge_order', sequenceOf(purge), purge.id],
  purge.status === 'pending'
    ? ['ZADD', 'pending', sequenceOf(purge), purge.id]
    : // Purges come in the order of their sequences.
      put('head', 'completed', sequenceOf(purge)),
];

const requestCommands = ({ id, request }: PurgeRecord): readonly Command[] =>
  request === undefined
    ? []
    : [put('requests', request.key, id), put('request_of', id, request.key)];

export const recordCommands = (draft: Draft, revisions: number): readonly Command[] => [
  put('records', fieldOf(draft), JSON.stringify(draft.value)),
  ['HINCRBY', 'revisions', fieldOf(draft), revisions],
  ['ZADD', 'record_order', 0, fieldOf(draft)],
];

export const sequenceOf = (purge: PurgeRecord): number => Math.max(...purge.sequences);
