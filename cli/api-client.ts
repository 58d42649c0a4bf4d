import type { Readable } from 'node:stream';
import { Agent, type Dispatcher, request } from 'undici';
import { z } from 'zod';
import type { NodeInput } from '#core/contract/node.ts';
import type { PurgeMode } from '#core/contract/purge.ts';
import type { PushVariant } from '#core/contract/push.ts';
import {
  type NetworkRouting,
  type NetworkRoutingInput,
  networkRoutingSchema,
} from '#core/contract/routing.ts';
import { type Site, siteSchema } from '#core/contract/site.ts';
import { validate } from '#core/contract/validate.ts';
import { CanopyError, ERRORS, type ErrorCode, messageOf } from '#core/errors.ts';
import {
  type AuditEntry,
  auditEntrySchema,
  type Enrolment,
  enrolmentSchema,
  type Ban,
  banSchema,
  configSchema,
  diffSchema,
  healthSchema,
  type ListedPurge,
  listedPurgeSchema,
  networkSchema,
  type NodeStatus,
  nodeAnswerSchema,
  nodeStatusSchema,
  numberSchema,
  type Outcome,
  outcomeSchema,
  problemSchema,
  type Purge,
  type PurgePreview,
  purgePreviewSchema,
  purgeSchema,
  type Push,
  pushSchema,
  type RouteExplanation,
  routeExplanationSchema,
  type RouteSimulation,
  routeSimulationSchema,
  type Rollout,
  rolloutSchema,
  type RotationPhase,
  siteAnswerSchema,
  type StoredObject,
  storedObjectSchema,
  type Token,
  tokenSchema,
  type TokenSecret,
  tokenSecretSchema,
  versionsSchema,
} from './api-types.ts';

/** The longest that the control plane holds back one answer on a purge. */
const LONGEST_WAIT_MS = 60_000;
/** How often somebody who watches is shown how far it is. */
const SHOW_MS = 500;

/** Items asked for at once. */
const PAGE = 1_000;

export interface ControlPlaneAddress {
  readonly url: string;
  readonly token: string;
  /** Authorities (PEM) in place of those of the system. */
  readonly ca?: string | undefined;
}

/** What to purge; tags without a site are those of every site. */
export type PurgeTargets =
  | { readonly urls: readonly string[] }
  | { readonly prefixes: readonly string[] }
  | { readonly tags: readonly string[]; readonly site?: string }
  | { readonly hosts: readonly string[] }
  | { readonly site: string }
  | { readonly everything: true };

/** Without a mode, that which the control plane has for what is purged. */
export type PurgeRequest = PurgeTargets & { readonly mode?: PurgeMode; readonly reason?: string };

/** What the control plane is to simulate. */
export interface RouteQuestion {
  readonly site: string;
  readonly without: readonly string[];
  readonly clients: readonly { readonly client: string; readonly requestsPerSecond: number }[];
}

export interface ConfigRequest {
  readonly sites: readonly unknown[];
  readonly reason?: string;
  /** Nodes that have it before all others. */
  readonly canary?: readonly string[];
  readonly onRefusal?: 'rollback' | 'keep';
  readonly dryRun?: boolean;
}

export interface RollbackRequest {
  readonly to: number;
  readonly reason?: string;
  readonly dryRun?: boolean;
}

export interface PushRequest {
  readonly urls: readonly string[];
  readonly sitemaps?: readonly string[];
  readonly manifests?: readonly string[];
  readonly to?: {
    readonly tier?: string;
    readonly locations?: readonly string[];
    readonly nodes?: readonly string[];
  };
  readonly priority?: string;
  readonly bytesPerSecond?: number;
  readonly concurrency?: number;
  readonly expiresInSeconds?: number;
  readonly reason?: string;
  readonly variants?: readonly PushVariant[] | undefined;
}

interface Body {
  readonly content: string | Readable | Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

/** The control plane's API. Every method throws the `CanopyError` that the control plane answered. */
export class ApiClient {
  readonly #address: ControlPlaneAddress;
  readonly #dispatcher: Dispatcher | undefined;

  constructor(address: ControlPlaneAddress) {
    this.#address = address;
    const { ca } = address;
    this.#dispatcher = ca === undefined ? undefined : new Agent({ connect: { ca } });
  }

  /** The journal's last sequence number. */
  async sequence(): Promise<number> {
    return (await this.#send(healthSchema, 'GET', '/v1/health')).sequence;
  }

  sites(): Promise<Site[]> {
    return this.#all(siteSchema, '/v1/sites');
  }

  site(name: string): Promise<Site> {
    return this.#send(siteSchema, 'GET', `/v1/sites/${encodeURIComponent(name)}`);
  }

  putSite(
    name: string,
    site: unknown,
    reason?: string,
  ): Promise<z.output<typeof siteAnswerSchema>> {
    return this.#send(siteAnswerSchema, 'PUT', sitePath(name, reason), json(site));
  }

  deleteSite(name: string, reason?: string): Promise<unknown> {
    return this.#send(z.unknown(), 'DELETE', sitePath(name, reason));
  }

  nodes(): Promise<NodeStatus[]> {
    return this.#all(nodeStatusSchema, '/v1/nodes');
  }

  /** @returns the node's credential if the node is new */
  async putNode(node: NodeInput): Promise<string | undefined> {
    return (await this.#send(nodeAnswerSchema, 'PUT', `/v1/nodes/${node.name}`, json(node)))
      .credential;
  }

  /** Takes a node out of use, or back into it. */
  drainNode(name: string, verb: 'drain' | 'resume'): Promise<unknown> {
    return this.#send(z.unknown(), 'POST', `/v1/nodes/${encodeURIComponent(name)}/${verb}`);
  }

  deleteNode(name: string): Promise<unknown> {
    return this.#send(z.unknown(), 'DELETE', `/v1/nodes/${encodeURIComponent(name)}`);
  }

  tokens(): Promise<Token[]> {
    return this.#all(tokenSchema, '/v1/tokens');
  }

  createToken(order: object): Promise<TokenSecret> {
    return this.#send(tokenSecretSchema, 'POST', '/v1/tokens', json(order));
  }

  rotateToken(name: string, order: object): Promise<TokenSecret> {
    const path = `/v1/tokens/${encodeURIComponent(name)}/rotate`;
    return this.#send(tokenSecretSchema, 'POST', path, json(order));
  }

  deleteToken(name: string): Promise<unknown> {
    return this.#send(z.unknown(), 'DELETE', `/v1/tokens/${encodeURIComponent(name)}`);
  }

  /** A one-time token for a node. */
  openEnrolment(order: object): Promise<Enrolment> {
    return this.#send(enrolmentSchema, 'POST', '/v1/enrolments', json(order));
  }

  /** The latest entries of the audit log. */
  audit(most: number): Promise<AuditEntry[]> {
    return this.#all(auditEntrySchema, '/v1/audit', most);
  }

  async tierKeyRotation(): Promise<RotationPhase> {
    return (await this.#send(networkSchema, 'GET', '/v1/network')).tierKeyRotation;
  }

  async rotateTierKey(): Promise<RotationPhase> {
    return (await this.#send(networkSchema, 'POST', '/v1/network/rotate-tier-key')).tierKeyRotation;
  }

  routing(): Promise<NetworkRouting> {
    return this.#send(networkRoutingSchema, 'GET', '/v1/routing');
  }

  putRouting(routing: NetworkRoutingInput): Promise<unknown> {
    return this.#send(z.unknown(), 'PUT', '/v1/routing', json(routing));
  }

  explainRoute(site: string, client: string, family?: '4' | '6'): Promise<RouteExplanation> {
    const query = new URLSearchParams({ site, client, ...(family !== undefined && { family }) });
    return this.#send(routeExplanationSchema, 'GET', `/v1/explain/route?${query.toString()}`);
  }

  simulateRoute(question: RouteQuestion): Promise<RouteSimulation> {
    return this.#send(routeSimulationSchema, 'POST', '/v1/simulate/route', json(question));
  }

  /** All sites as of a version; by default the one in effect. */
  config(version?: number): Promise<z.output<typeof configSchema>> {
    const query = version === undefined ? '' : `?version=${version}`;
    return this.#send(configSchema, 'GET', `/v1/config${query}`);
  }

  /** @param base the version that it was made from: fails if there is another by now */
  applyConfig(wanted: ConfigRequest, base?: number): Promise<Outcome> {
    return this.#send(outcomeSchema, 'POST', '/v1/config', json(wanted, base));
  }

  rollbackConfig(wanted: RollbackRequest, base?: number): Promise<Outcome> {
    return this.#send(outcomeSchema, 'POST', '/v1/config/rollback', json(wanted, base));
  }

  /** Gives the canary to every node, or takes it from its own. @returns its number */
  async endCanary(verb: 'promote' | 'abort'): Promise<number> {
    return (await this.#send(numberSchema, 'POST', `/v1/config/${verb}`)).number;
  }

  /** The latest versions, newest first. */
  versions(limit: number): Promise<z.output<typeof versionsSchema>> {
    return this.#send(versionsSchema, 'GET', `/v1/config/versions?limit=${limit}`);
  }

  /** How far a version is, once nothing is pending or after `waitMs`. */
  rollout(version: number, waitMs = 0): Promise<Rollout> {
    return this.#send(rolloutSchema, 'GET', `/v1/config/versions/${version}?waitMs=${waitMs}`);
  }

  /** @param to by default the version in effect */
  configDiff(from: number, to?: number): Promise<z.output<typeof diffSchema>> {
    const query = to === undefined ? `from=${from}` : `from=${from}&to=${to}`;
    return this.#send(diffSchema, 'GET', `/v1/config/diff?${query}`);
  }

  purge(order: PurgeRequest): Promise<Purge> {
    return this.#send(purgeSchema, 'POST', '/v1/purges', json(order));
  }

  /** What the purge would do, which is not done. */
  previewPurge(order: PurgeRequest): Promise<PurgePreview> {
    return this.#send(purgePreviewSchema, 'POST', '/v1/purges', json({ ...order, dryRun: true }));
  }

  /**
   * The purge as it stands once it is complete, or after `timeoutMs`.
   * @param onProgress called with it now and then
   */
  waitForPurge(id: string, timeoutMs: number, onProgress?: (purge: Purge) => void): Promise<Purge> {
    const path = `/v1/purges/${encodeURIComponent(id)}`;
    return this.#wait(purgeSchema, path, timeoutMs, isComplete, onProgress);
  }

  push(order: PushRequest): Promise<Push> {
    return this.#send(pushSchema, 'POST', '/v1/pushes', json(order));
  }

  /** The latest `limit`, newest first. */
  pushes(limit: number): Promise<Push[]> {
    return this.#all(pushSchema, '/v1/pushes', limit);
  }

  /**
   * The push as it stands once it has ended, or after `timeoutMs`.
   * @param onProgress called with it now and then
   */
  waitForPush(id: string, timeoutMs: number, onProgress?: (push: Push) => void): Promise<Push> {
    const path = `/v1/pushes/${encodeURIComponent(id)}`;
    return this.#wait(pushSchema, path, timeoutMs, hasEnded, onProgress);
  }

  cancelPush(id: string): Promise<Push> {
    return this.#send(pushSchema, 'POST', `/v1/pushes/${encodeURIComponent(id)}/cancel`);
  }

  /**
   * All of the state, as it is to be kept.
   * @param onProgress called with the bytes received, and how many there are
   */
  async backup(onProgress?: OnProgress): Promise<string> {
    return (await this.#exchange('GET', '/v1/backup', undefined, onProgress)).text;
  }

  /** The latest `most`, newest first. @param before those of an earlier sequence */
  purges(most: number, before?: number): Promise<ListedPurge[]> {
    return this.#all(listedPurgeSchema, '/v1/purges', most, before);
  }

  bans(): Promise<Ban[]> {
    return this.#all(banSchema, '/v1/bans');
  }

  liftBan(id: string): Promise<unknown> {
    return this.#send(z.unknown(), 'DELETE', `/v1/bans/${encodeURIComponent(id)}`);
  }

  /**
   * @param path the object's URL path, from the first `/`
   * @param purge whether caches are to forget what they hold of it
   * @returns with the id of the purge, if there is one
   */
  async putObject(
    site: string,
    path: string,
    body: Body,
    purge: boolean,
  ): Promise<{ readonly object: StoredObject; readonly purge: string | undefined }> {
    const target = `/v1/sites/${site}/objects${path}${purge ? '' : '?purge=none'}`;
    const { text, url, headers } = await this.#exchange('PUT', target, body);
    const object = validate(storedObjectSchema, parse(text, url), 'answer of the control plane');
    return { object, purge: headers['canopy-purge']?.toString() };
  }

  /** Every page of a list, or its first `most` items behind `start`. */
  async #all<T extends z.ZodType>(
    item: T,
    path: string,
    most = Infinity,
    start?: number,
  ): Promise<z.output<T>[]> {
    const page = z.looseObject({ items: z.array(item), next: z.string().nullable() });
    const all: z.output<T>[] = [];
    let after = start === undefined ? '' : `&after=${start}`;
    for (;;) {
      const limit = Math.min(PAGE, most - all.length);
      const { items, next } = await this.#send(page, 'GET', `${path}?limit=${limit}${after}`);
      all.push(...items);
      if (next === null || all.length >= most) return all;
      after = `&after=${encodeURIComponent(next)}`;
    }
  }

  /** What is at `path` once it is over, or as it stands after `timeoutMs`. */
  async #wait<T extends z.ZodType>(
    schema: T,
    path: string,
    timeoutMs: number,
    isOver: (found: z.output<T>) => boolean,
    onProgress: ((found: z.output<T>) => void) | undefined,
  ): Promise<z.output<T>> {
    const endMs = performance.now() + timeoutMs;
    for (;;) {
      const leftMs = Math.max(0, Math.round(endMs - performance.now()));
      const waitMs = Math.min(leftMs, onProgress === undefined ? LONGEST_WAIT_MS : SHOW_MS);
      const found = await this.#send(schema, 'GET', `${path}?waitMs=${waitMs}`);
      onProgress?.(found);
      if (isOver(found) || leftMs === waitMs) return found;
    }
  }

  async #send<T extends z.ZodType>(
    schema: T,
    method: string,
    path: string,
    body?: Body,
  ): Promise<z.output<T>> {
    const { text, url } = await this.#exchange(method, path, body);
    return validate(
      schema,
      text === '' ? undefined : parse(text, url),
      'answer of the control plane',
    );
  }

  async #exchange(method: string, path: string, body?: Body, onProgress?: OnProgress) {
    const { url, token } = this.#address;
    const at = { url: new URL(path, url), token, dispatcher: this.#dispatcher };
    const { statusCode, text, headers } = await exchange(at, method, body, onProgress);
    if (statusCode >= 400) throw problemOf(statusCode, text, url);
    return { text, url, headers };
  }
}

const isComplete = ({ status }: Purge): boolean => status === 'complete';
const hasEnded = ({ status }: Push): boolean => status !== 'running';

const sitePath = (name: string, reason?: string): string =>
  `/v1/sites/${encodeURIComponent(name)}${reason === undefined ? '' : `?reason=${encodeURIComponent(reason)}`}`;

/** @param version that the request is to be made from */
const json = (value: unknown, version?: number): Body => ({
  content: JSON.stringify(value),
  headers: {
    'content-type': 'application/json',
    ...(version !== undefined && { 'if-match': `"${version}"` }),
  },
});

interface Endpoint {
  readonly url: URL;
  readonly token: string;
  readonly dispatcher: Dispatcher | undefined;
}

type OnProgress = (bytes: number, total: number) => void;

async function exchange(
  { url, token, dispatcher }: Endpoint,
  method: string,
  body?: Body,
  onProgress: OnProgress = () => undefined,
) {
  try {
    const answer = await request(url, {
      ...(dispatcher !== undefined && { dispatcher }),
      method: method as 'GET' | 'PUT' | 'POST' | 'DELETE',
      headers: { authorization: `Bearer ${token}`, ...body?.headers },
      body: body?.content ?? null,
      // An upload takes as long as it takes; the answer comes after it.
      headersTimeout: 0,
    });
    const total = Number(answer.headers['content-length'] ?? 0);
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of answer.body as AsyncIterable<Uint8Array>) {
      chunks.push(chunk);
      onProgress((bytes += chunk.length), total);
    }
    const { statusCode, headers } = answer;
    return { statusCode, headers, text: Buffer.concat(chunks).toString() };
  } catch (cause) {
    throw new CanopyError(
      'unavailable',
      `Cannot reach the control plane at ${url.origin}: ${messageOf(cause)}`,
      { cause },
    );
  }
}

function parse(text: string, url: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CanopyError('upstream-invalid', `${url} does not answer like a control plane`, {
      cause,
    });
  }
}

function problemOf(status: number, text: string, url: string): CanopyError {
  const problem = problemSchema.safeParse(parse(text, url));
  const { code, detail, title } = problem.data ?? {};
  return new CanopyError(
    code !== undefined && isErrorCode(code) ? code : 'internal-error',
    detail ?? title ?? `The control plane answered ${status}`,
  );
}

const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(ERRORS, code);
