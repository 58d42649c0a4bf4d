import type { Readable } from 'node:stream';
import { request } from 'undici';
import { z } from 'zod';
import type { NodeInput } from '#core/contract/node.ts';
import type { PurgeMode } from '#core/contract/purge.ts';
import { type Site, siteSchema } from '#core/contract/site.ts';
import { validate } from '#core/contract/validate.ts';
import { CanopyError, ERRORS, type ErrorCode, messageOf } from '#core/errors.ts';
import {
  type Ban,
  banSchema,
  healthSchema,
  type ListedPurge,
  listedPurgeSchema,
  networkSchema,
  type NodeStatus,
  nodeAnswerSchema,
  nodeStatusSchema,
  problemSchema,
  type Purge,
  purgeSchema,
  type RotationPhase,
  siteAnswerSchema,
  type StoredObject,
  storedObjectSchema,
} from './api-types.ts';

/** The longest that the control plane holds back one answer on a purge. */
const LONGEST_WAIT_MS = 60_000;

export interface ControlPlaneAddress {
  readonly url: string;
  readonly token: string;
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

interface Body {
  readonly content: string | Readable | Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

/** The control plane's API. Every method throws the `CanopyError` that the control plane answered. */
export class ApiClient {
  readonly #address: ControlPlaneAddress;

  constructor(address: ControlPlaneAddress) {
    this.#address = address;
  }

  /** The journal's last sequence number. */
  async sequence(): Promise<number> {
    return (await this.#send(healthSchema, 'GET', '/v1/health')).sequence;
  }

  sites(): Promise<Site[]> {
    return this.#send(z.array(siteSchema), 'GET', '/v1/sites');
  }

  site(name: string): Promise<Site> {
    return this.#send(siteSchema, 'GET', `/v1/sites/${encodeURIComponent(name)}`);
  }

  putSite(name: string, site: unknown): Promise<z.output<typeof siteAnswerSchema>> {
    return this.#send(siteAnswerSchema, 'PUT', `/v1/sites/${encodeURIComponent(name)}`, json(site));
  }

  deleteSite(name: string): Promise<unknown> {
    return this.#send(z.unknown(), 'DELETE', `/v1/sites/${encodeURIComponent(name)}`);
  }

  nodes(): Promise<NodeStatus[]> {
    return this.#send(z.array(nodeStatusSchema), 'GET', '/v1/nodes');
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

  async tierKeyRotation(): Promise<RotationPhase> {
    return (await this.#send(networkSchema, 'GET', '/v1/network')).tierKeyRotation;
  }

  async rotateTierKey(): Promise<RotationPhase> {
    return (await this.#send(networkSchema, 'POST', '/v1/network/rotate-tier-key')).tierKeyRotation;
  }

  purge(order: PurgeRequest): Promise<Purge> {
    return this.#send(purgeSchema, 'POST', '/v1/purges', json(order));
  }

  /** The purge as it stands once it is complete, or after `timeoutMs`. */
  async waitForPurge(id: string, timeoutMs: number): Promise<Purge> {
    const endMs = performance.now() + timeoutMs;
    for (;;) {
      const leftMs = Math.max(0, Math.round(endMs - performance.now()));
      const waitMs = Math.min(leftMs, LONGEST_WAIT_MS);
      const path = `/v1/purges/${encodeURIComponent(id)}?waitMs=${waitMs}`;
      const purge = await this.#send(purgeSchema, 'GET', path);
      if (purge.status === 'complete' || leftMs === waitMs) return purge;
    }
  }

  /** All of the state, as it is to be kept. */
  async backup(): Promise<string> {
    return (await this.#exchange('GET', '/v1/backup')).text;
  }

  /** The latest `limit`, newest first. @param before those of an earlier sequence */
  purges(limit: number, before?: number): Promise<ListedPurge[]> {
    const page = before === undefined ? '' : `&before=${before}`;
    return this.#send(z.array(listedPurgeSchema), 'GET', `/v1/purges?limit=${limit}${page}`);
  }

  bans(): Promise<Ban[]> {
    return this.#send(z.array(banSchema), 'GET', '/v1/bans');
  }

  liftBan(id: string): Promise<unknown> {
    return this.#send(z.unknown(), 'DELETE', `/v1/bans/${encodeURIComponent(id)}`);
  }

  /** @param path the object's URL path, from the first `/` */
  putObject(site: string, path: string, body: Body): Promise<StoredObject> {
    return this.#send(storedObjectSchema, 'PUT', `/v1/sites/${site}/objects${path}`, body);
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

  async #exchange(method: string, path: string, body?: Body) {
    const { url, token } = this.#address;
    const { statusCode, text } = await exchange(new URL(path, url), method, token, body);
    if (statusCode >= 400) throw problemOf(statusCode, text, url);
    return { text, url };
  }
}

const json = (value: unknown): Body => ({
  content: JSON.stringify(value),
  headers: { 'content-type': 'application/json' },
});

async function exchange(url: URL, method: string, token: string, body?: Body) {
  try {
    const answer = await request(url, {
      method: method as 'GET' | 'PUT' | 'POST' | 'DELETE',
      headers: { authorization: `Bearer ${token}`, ...body?.headers },
      body: body?.content ?? null,
      // An upload takes as long as it takes; the answer comes after it.
      headersTimeout: 0,
    });
    return { statusCode: answer.statusCode, text: await answer.body.text() };
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
