import { z } from 'zod';
import type { NodeInput } from '#core/contract/node.ts';
import type { PurgeMode } from '#core/contract/purge.ts';
import {
  type NetworkRouting,
  type NetworkRoutingInput,
  networkRoutingSchema,
} from '#core/contract/routing.ts';
import { type Site, siteSchema } from '#core/contract/site.ts';
import { validate } from '#core/contract/validate.ts';
import {
  ApiConnection,
  type Body,
  type ControlPlaneAddress,
  json,
  type OnProgress,
  parse,
} from './api-connection.ts';
import {
  type AuditEntry,
  auditEntrySchema,
  type Ban,
  banSchema,
  type Certificate,
  certificateAnswerSchema,
  type CertificateOrder,
  certificateOrderSchema,
  certificateSchema,
  configSchema,
  type DelegationSigner,
  delegationSignersSchema,
  diffSchema,
  type Enrolment,
  enrolmentSchema,
  healthSchema,
  type ListedPurge,
  listedPurgeSchema,
  networkSchema,
  nodeAnswerSchema,
  type NodeStatus,
  nodeStatusSchema,
  numberSchema,
  type Outcome,
  outcomeSchema,
  type Purge,
  type PurgePreview,
  purgePreviewSchema,
  purgeSchema,
  type Rollout,
  rolloutSchema,
  type RotationPhase,
  type RouteExplanation,
  routeExplanationSchema,
  type RouteSimulation,
  routeSimulationSchema,
  siteAnswerSchema,
  type StoredObject,
  storedObjectSchema,
  type Token,
  tokenSchema,
  type TokenSecret,
  tokenSecretSchema,
  versionsSchema,
} from './api-types.ts';
import {
  type Explanation,
  explanationSchema,
  explainTokenSchema,
  type SignedField,
} from './explain/types.ts';
import { type TrafficAnswer, trafficSchema } from './top/traffic-answer.ts';
import { PushApi } from './push-api.ts';
import { ReleaseApi } from './release-api.ts';

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

/** A request to explain. */
export interface ExplainRequest {
  readonly url: string;
  readonly method: string;
  /** Each as `Name: value`. */
  readonly headers: readonly string[];
  readonly client?: string;
  readonly location?: string;
  readonly node?: string;
}

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

/** The control plane's API. Every method throws the `CanopyError` that the control plane answered. */
export class ApiClient {
  readonly #api: ApiConnection;
  readonly pushes: PushApi;
  readonly releases: ReleaseApi;

  constructor(address: ControlPlaneAddress) {
    this.#api = new ApiConnection(address);
    this.pushes = new PushApi(this.#api);
    this.releases = new ReleaseApi(this.#api);
  }

  /** The journal's last sequence number. */
  async sequence(): Promise<number> {
    return (await this.#api.send(healthSchema, 'GET', '/v1/health')).sequence;
  }

  sites(): Promise<Site[]> {
    return this.#api.all(siteSchema, '/v1/sites');
  }

  site(name: string): Promise<Site> {
    return this.#api.send(siteSchema, 'GET', `/v1/sites/${encodeURIComponent(name)}`);
  }

  putSite(
    name: string,
    site: unknown,
    reason?: string,
  ): Promise<z.output<typeof siteAnswerSchema>> {
    return this.#api.send(siteAnswerSchema, 'PUT', sitePath(name, reason), json(site));
  }

  deleteSite(name: string, reason?: string): Promise<unknown> {
    return this.#api.send(z.unknown(), 'DELETE', sitePath(name, reason));
  }

  certificates(): Promise<Certificate[]> {
    return this.#api.all(certificateSchema, '/v1/certificates');
  }

  certificate(name: string): Promise<Certificate> {
    return this.#api.send(certificateSchema, 'GET', `/v1/certificates/${encodeURIComponent(name)}`);
  }

  putCertificate(
    name: string,
    certificate: object,
  ): Promise<z.output<typeof certificateAnswerSchema>> {
    const path = `/v1/certificates/${encodeURIComponent(name)}`;
    return this.#api.send(certificateAnswerSchema, 'PUT', path, json(certificate));
  }

  deleteCertificate(name: string): Promise<unknown> {
    return this.#api.send(z.unknown(), 'DELETE', `/v1/certificates/${encodeURIComponent(name)}`);
  }

  setAcmeAuthority(authority: object): Promise<unknown> {
    return this.#api.send(z.unknown(), 'PUT', '/v1/acme', json(authority));
  }

  orderCertificate(name: string, order: object): Promise<unknown> {
    const path = `/v1/acme/orders/${encodeURIComponent(name)}`;
    return this.#api.send(z.unknown(), 'PUT', path, json(order));
  }

  certificateOrders(): Promise<CertificateOrder[]> {
    return this.#api.all(certificateOrderSchema, '/v1/acme/orders');
  }

  cancelCertificateOrder(name: string): Promise<unknown> {
    return this.#api.send(z.unknown(), 'DELETE', `/v1/acme/orders/${encodeURIComponent(name)}`);
  }

  nodes(): Promise<NodeStatus[]> {
    return this.#api.all(nodeStatusSchema, '/v1/nodes');
  }

  /** @returns the node's credential if the node is new */
  async putNode(node: NodeInput): Promise<string | undefined> {
    return (await this.#api.send(nodeAnswerSchema, 'PUT', `/v1/nodes/${node.name}`, json(node)))
      .credential;
  }

  /** Takes a node out of use, or back into it. */
  drainNode(name: string, verb: 'drain' | 'resume'): Promise<unknown> {
    return this.#api.send(z.unknown(), 'POST', `/v1/nodes/${encodeURIComponent(name)}/${verb}`);
  }

  deleteNode(name: string): Promise<unknown> {
    return this.#api.send(z.unknown(), 'DELETE', `/v1/nodes/${encodeURIComponent(name)}`);
  }

  tokens(): Promise<Token[]> {
    return this.#api.all(tokenSchema, '/v1/tokens');
  }

  createToken(order: object): Promise<TokenSecret> {
    return this.#api.send(tokenSecretSchema, 'POST', '/v1/tokens', json(order));
  }

  rotateToken(name: string, order: object): Promise<TokenSecret> {
    const path = `/v1/tokens/${encodeURIComponent(name)}/rotate`;
    return this.#api.send(tokenSecretSchema, 'POST', path, json(order));
  }

  deleteToken(name: string): Promise<unknown> {
    return this.#api.send(z.unknown(), 'DELETE', `/v1/tokens/${encodeURIComponent(name)}`);
  }

  /** A one-time token for a node. */
  openEnrolment(order: object): Promise<Enrolment> {
    return this.#api.send(enrolmentSchema, 'POST', '/v1/enrolments', json(order));
  }

  /** The latest entries of the audit log. */
  audit(most: number): Promise<AuditEntry[]> {
    return this.#api.all(auditEntrySchema, '/v1/audit', most);
  }

  async tierKeyRotation(): Promise<RotationPhase> {
    return (await this.#api.send(networkSchema, 'GET', '/v1/network')).tierKeyRotation;
  }

  async rotateTierKey(): Promise<RotationPhase> {
    return (await this.#api.send(networkSchema, 'POST', '/v1/network/rotate-tier-key'))
      .tierKeyRotation;
  }

  routing(): Promise<NetworkRouting> {
    return this.#api.send(networkRoutingSchema, 'GET', '/v1/routing');
  }

  async delegationSigners(): Promise<readonly DelegationSigner[]> {
    return (await this.#api.send(delegationSignersSchema, 'GET', '/v1/routing/ds')).zones;
  }

  putRouting(routing: NetworkRoutingInput): Promise<unknown> {
    return this.#api.send(z.unknown(), 'PUT', '/v1/routing', json(routing));
  }

  explain(request: ExplainRequest): Promise<Explanation> {
    return this.#api.send(explanationSchema, 'POST', '/v1/explain', json(request));
  }

  /** A request header by which edges explain what they do with requests for the site of a URL. */
  signExplain(url: string, forSeconds: number): Promise<SignedField> {
    const request = json({ url, forSeconds });
    return this.#api.send(explainTokenSchema, 'POST', '/v1/explain/tokens', request);
  }

  /** What the network has served of late. */
  traffic(query: {
    readonly by: 'none' | 'site' | 'location' | 'tier' | 'node';
    readonly stepSeconds: number;
    readonly points: number;
  }): Promise<TrafficAnswer> {
    const { by, stepSeconds, points } = query;
    const search = `by=${by}&stepSeconds=${stepSeconds}&points=${points}`;
    return this.#api.send(trafficSchema, 'GET', `/v1/traffic?${search}`);
  }

  explainRoute(site: string, client: string, family?: '4' | '6'): Promise<RouteExplanation> {
    const query = new URLSearchParams({ site, client, ...(family !== undefined && { family }) });
    return this.#api.send(routeExplanationSchema, 'GET', `/v1/explain/route?${query.toString()}`);
  }

  simulateRoute(question: RouteQuestion): Promise<RouteSimulation> {
    return this.#api.send(routeSimulationSchema, 'POST', '/v1/simulate/route', json(question));
  }

  /** All sites as of a version; by default the one in effect. */
  config(version?: number): Promise<z.output<typeof configSchema>> {
    const query = version === undefined ? '' : `?version=${version}`;
    return this.#api.send(configSchema, 'GET', `/v1/config${query}`);
  }

  /** @param base the version that it was made from: fails if there is another by now */
  applyConfig(wanted: ConfigRequest, base?: number): Promise<Outcome> {
    return this.#api.send(outcomeSchema, 'POST', '/v1/config', json(wanted, base));
  }

  rollbackConfig(wanted: RollbackRequest, base?: number): Promise<Outcome> {
    return this.#api.send(outcomeSchema, 'POST', '/v1/config/rollback', json(wanted, base));
  }

  /** Gives the canary to every node, or takes it from its own. @returns its number */
  async endCanary(verb: 'promote' | 'abort'): Promise<number> {
    return (await this.#api.send(numberSchema, 'POST', `/v1/config/${verb}`)).number;
  }

  /** The latest versions, newest first. */
  versions(limit: number): Promise<z.output<typeof versionsSchema>> {
    return this.#api.send(versionsSchema, 'GET', `/v1/config/versions?limit=${limit}`);
  }

  /** How far a version is, once nothing is pending or after `waitMs`. */
  rollout(version: number, waitMs = 0): Promise<Rollout> {
    return this.#api.send(rolloutSchema, 'GET', `/v1/config/versions/${version}?waitMs=${waitMs}`);
  }

  /** @param to by default the version in effect */
  configDiff(from: number, to?: number): Promise<z.output<typeof diffSchema>> {
    const query = to === undefined ? `from=${from}` : `from=${from}&to=${to}`;
    return this.#api.send(diffSchema, 'GET', `/v1/config/diff?${query}`);
  }

  purge(order: PurgeRequest): Promise<Purge> {
    return this.#api.send(purgeSchema, 'POST', '/v1/purges', json(order));
  }

  /** What the purge would do, which is not done. */
  previewPurge(order: PurgeRequest): Promise<PurgePreview> {
    return this.#api.send(
      purgePreviewSchema,
      'POST',
      '/v1/purges',
      json({ ...order, dryRun: true }),
    );
  }

  /**
   * The purge as it stands once it is complete, or after `timeoutMs`.
   * @param onProgress called with it now and then
   */
  waitForPurge(id: string, timeoutMs: number, onProgress?: (purge: Purge) => void): Promise<Purge> {
    const path = `/v1/purges/${encodeURIComponent(id)}`;
    return this.#api.wait(purgeSchema, path, timeoutMs, isComplete, onProgress);
  }

  /**
   * All of the state, as it is to be kept.
   * @param onProgress called with the bytes received, and how many there are
   */
  async backup(onProgress?: OnProgress): Promise<string> {
    return (await this.#api.exchange('GET', '/v1/backup', undefined, onProgress)).text;
  }

  /** The latest `most`, newest first. @param before those of an earlier sequence */
  purges(most: number, before?: number): Promise<ListedPurge[]> {
    return this.#api.all(listedPurgeSchema, '/v1/purges', most, before);
  }

  bans(): Promise<Ban[]> {
    return this.#api.all(banSchema, '/v1/bans');
  }

  liftBan(id: string): Promise<unknown> {
    return this.#api.send(z.unknown(), 'DELETE', `/v1/bans/${encodeURIComponent(id)}`);
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
    const { text, url, headers } = await this.#api.exchange('PUT', target, body);
    const object = validate(storedObjectSchema, parse(text, url), 'answer of the control plane');
    return { object, purge: headers['canopy-purge']?.toString() };
  }
}

const isComplete = ({ status }: Purge): boolean => status === 'complete';

const sitePath = (name: string, reason?: string): string =>
  `/v1/sites/${encodeURIComponent(name)}${reason === undefined ? '' : `?reason=${encodeURIComponent(reason)}`}`;
