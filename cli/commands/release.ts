import { type Command, InvalidArgumentError } from 'commander';
import type { ReleaseObject } from '#core/contract/release.ts';
import { CanopyError } from '#core/errors.ts';
import { pathMatcher } from '#core/http/path-glob.ts';
import type { ApiClient } from '../api-client.ts';
import type { Release } from '../api-types.ts';
import { connect, type ConnectionOptions, withConnection } from '../connection.ts';
import { EXIT } from '../exit-codes.ts';
import { print, table, time } from '../output.ts';
import { progressBar } from '../progress.ts';
import { filesIn, type HashedFile, hashed } from '../release/files.ts';
import { upload } from '../release/upload.ts';
import { formatSize } from '../size.ts';
import { purgeReport, seconds } from './purge.ts';
import { whole } from './purges.ts';

interface SiteOptions extends ConnectionOptions {
  readonly site: string;
}

interface SwitchOptions extends SiteOptions {
  readonly reason?: string;
  readonly ifCurrent?: string;
  readonly timeout: number;
}

interface ReleaseOptions extends SwitchOptions {
  readonly cacheControl: readonly CacheControl[];
  readonly prefetch?: true | string;
}

/** `Cache-Control` for the paths that it concerns. */
interface CacheControl {
  readonly concerns: (path: string) => boolean;
  readonly value: string;
}

export function addRelease(program: Command): void {
  const release = program
    .command('release')
    .description("replace all of a site in the network's origin at one moment");

  withSwitching(
    release
      .command('directory', { isDefault: true, hidden: true })
      .argument('<dir>', 'its files become the site; only what changed is uploaded')
      .description('release a directory'),
  )
    .option(
      '--cache-control <value>',
      'Cache-Control to serve all with, or with "/assets/**=value" those paths; may be repeated, the last one counts',
      appendCacheControl,
      [],
    )
    .option('--prefetch [locations]', 'have edges, or those there, fetch it ahead')
    .action(releaseDirectory);

  withSwitching(
    release.command('rollback').description('switch back to an earlier release, at once'),
  )
    .option('--to <id>', 'to this one; by default the one before the current one')
    .action(rollBack);

  withSite(release.command('list').description('the latest, newest first'))
    .option('--limit <n>', 'so many, 1 to 1000', whole, 20)
    .action(list);

  withSite(release.command('show').argument('<id>').description('one release'))
    .option('--objects', 'with all that it has', false)
    .action(show);

  withSite(
    release.command('cancel').argument('<id>').description('give one up before its switch'),
  ).action(async (id: string, options: SiteOptions) => {
    const cancelled = await (await connect(options)).releases.cancel(options.site, id);
    print(options.json, cancelled, () => lineOf(cancelled));
  });
}

const withSite = (command: Command): Command =>
  withConnection(command.requiredOption('--site <name>', 'whose content it is'));

const withSwitching = (command: Command): Command =>
  withSite(command)
    .option('--reason <text>', 'for the history')
    .option('--if-current <id>', 'only if this is the release in effect')
    .option('--timeout <seconds>', 'how long to wait for all nodes', seconds, 3_600);

async function releaseDirectory(dir: string, options: ReleaseOptions): Promise<void> {
  const { site, reason, prefetch, ifCurrent } = options;
  const api = await connect(options);
  const files = await hash(dir);
  const uploaded = await send(api, site, files);
  const order = {
    objects: files.map((file) => objectOf(file, options.cacheControl)),
    ...(prefetch !== undefined && { prefetch: placesOf(prefetch) }),
    ...(reason !== undefined && { reason }),
  };
  const ordered = await api.releases.order(site, order, ifCurrent);
  await follow(api, ordered, options, uploaded);
}

async function rollBack(options: SwitchOptions & { readonly to?: string }): Promise<void> {
  const { site, to, reason, ifCurrent } = options;
  const api = await connect(options);
  const order = { ...(to !== undefined && { to }), ...(reason !== undefined && { reason }) };
  await follow(api, await api.releases.rollback(site, order, ifCurrent), options);
}

async function hash(dir: string): Promise<readonly HashedFile[]> {
  const files = await filesIn(dir);
  const bar = progressBar('Hash', 'objects');
  let done = 0;
  try {
    return await hashed(files, () => bar?.update(++done, files.length));
  } finally {
    bar?.stop();
  }
}

/** What has been uploaded, for it was not there. */
interface Uploaded {
  readonly uploadedContents: number;
  readonly uploadedBytes: number;
}

async function send(api: ApiClient, site: string, files: readonly HashedFile[]): Promise<Uploaded> {
  const byDigest = new Map(files.map((file) => [file.digest, file]));
  const missing = await api.releases.missing(site, [...byDigest.keys()]);
  const toSend = [...byDigest.values()].filter(({ digest }) => missing.has(digest));
  const total = toSend.reduce((sum, { size }) => sum + size, 0);
  const bar = progressBar('Upload', 'bytes');
  let done = 0;
  try {
    await upload(api.releases, site, toSend, (bytes) => bar?.update((done += bytes), total));
  } finally {
    bar?.stop();
  }
  return { uploadedContents: toSend.length, uploadedBytes: total };
}

/** @throws CanopyError as which the release has failed */
async function follow(
  api: ApiClient,
  ordered: Release,
  { site, timeout, json }: SwitchOptions,
  uploaded?: Uploaded,
): Promise<void> {
  const bar = progressBar('Release', 'steps');
  const update = ({ step, status }: Release): void =>
    bar?.update(status === 'switching' ? STEPS.length : STEPS.indexOf(step), STEPS.length);
  const waiting = api.releases.wait(site, ordered.id, timeout * 1000, bar && update);
  const release = await waiting.finally(() => bar?.stop());
  const { failure, purge: id, status } = release;
  if (failure !== undefined && status !== 'current' && status !== 'switching') {
    throw new CanopyError('conflict', `Nothing was changed: ${failure.detail} (${failure.code})`);
  }
  const purge = id === null ? undefined : await api.waitForPurge(id, 0);
  const found = { ...release, ...uploaded, ...(purge !== undefined && { purge }) };
  print(json, found, () => {
    const sent =
      uploaded === undefined
        ? ''
        : `Uploaded ${uploaded.uploadedContents} contents of ${formatSize(uploaded.uploadedBytes)}.\n`;
    const nodes = purge === undefined ? '' : `\n\n${purgeReport(purge)}`;
    return `${sent}${lineOf(release)}${nodes}`;
  });
  if (status !== 'current') process.exitCode = EXIT.incomplete;
}

async function list({ site, limit, ...options }: SiteOptions & { readonly limit: number }) {
  const all = await (await connect(options)).releases.latest(site, limit);
  print(options.json, all, () => table(HEADINGS, all.map(row)));
}

async function show(id: string, options: SiteOptions & { readonly objects: boolean }) {
  const { site, json } = options;
  const { releases } = await connect(options);
  const release = await releases.find(site, id);
  const objects = options.objects ? await releases.objects(site, id) : undefined;
  print(json, { ...release, ...(objects !== undefined && { items: objects }) }, () => {
    const one = table(HEADINGS, [row(release)]);
    if (objects === undefined) return one;
    const rows = objects.map(({ path, digest, contentType }) => [path, contentType ?? '', digest]);
    return `${one}\n\n${table(['path', 'type', 'sha-256'], rows)}`;
  });
}

const STEPS: readonly Release['step'][] = ['prepare', 'publish', 'prefetch', 'switch'];

const HEADINGS = ['id', 'ordered', 'switched', 'status', 'kept', 'objects', 'size', 'by', 'reason'];

const row = (release: Release): readonly (string | number)[] => [
  release.id,
  time(release.createdAt),
  time(release.switchedAt),
  release.status,
  release.isHeld ? 'yes' : 'no',
  release.objects,
  formatSize(release.bytes),
  release.by,
  release.reason ?? '-',
];

const lineOf = ({ id, site, status, objects, added, changed, deleted }: Release): string =>
  `Release ${id} of ${site} is ${status}: ${objects} objects, ${added} added, ${changed} changed, ${deleted} pages deleted.`;

function objectOf({ path, digest }: HashedFile, rules: readonly CacheControl[]): ReleaseObject {
  const cacheControl = rules.findLast(({ concerns }) => concerns(decodeURI(path)))?.value;
  return { path, digest, ...(cacheControl !== undefined && { cacheControl }) };
}

const placesOf = (prefetch: true | string) =>
  prefetch === true ? {} : { locations: prefetch.split(',').map((name) => name.trim()) };

function appendCacheControl(
  text: string,
  before: readonly CacheControl[],
): readonly CacheControl[] {
  const [, glob, scoped] = /^(\/[^=]*)=(.*)$/s.exec(text) ?? [];
  const value = scoped ?? text;
  if (!/^[\x20-\x7e]+$/.test(value)) {
    throw new InvalidArgumentError('Expected Cache-Control, or /path/**=Cache-Control.');
  }
  const concerns = glob === undefined ? () => true : pathMatcher(glob);
  return [...before, { concerns, value }];
}
