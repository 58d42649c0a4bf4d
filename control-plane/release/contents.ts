import { createHash } from 'node:crypto';
import { z } from 'zod';
import {
  type Manifest,
  manifestSchema,
  type Prepared,
  preparedSchema,
  type ReleaseObject,
} from '#core/contract/release.ts';
import { validate } from '#core/contract/validate.ts';
import { CanopyError } from '#core/errors.ts';
import type { Origins } from '../origins.ts';
import { writtenManifest } from './order.ts';

const ANYTHING = z.unknown();
const retiredSchema = z.strictObject({ deleted: z.array(z.string()) });

/** What releases have origins do. Every method throws the first refusal, or that one gave no answer. */
export class ReleaseContents {
  readonly #origins: Origins;

  constructor(origins: Origins) {
    this.#origins = origins;
  }

  /** @returns its digest */
  async put(site: string, manifest: Manifest): Promise<string> {
    const text = writtenManifest(manifest);
    const digest = digestOf(text);
    await this.#origins.all(ANYTHING, 'PUT', `/v1/sites/${site}/contents/${digest}`, text);
    return digest;
  }

  /** @throws CanopyError `content-missing` */
  async read(site: string, digest: string): Promise<Manifest> {
    const target = `/v1/sites/${site}/contents/${digest}`;
    const { statusCode, body } = await this.#origins.read({ method: 'GET', target });
    const text = await body.text();
    if (statusCode === 200) return validate(manifestSchema, JSON.parse(text), 'manifest');
    throw new CanopyError('content-missing', `The origin has no manifest ${digest} of "${site}"`);
  }

  /** Has all contents held. @returns what a manifest changes, at one origin or another */
  async prepare(site: string, release: string, manifest: string): Promise<Prepared> {
    const target = `/v1/sites/${site}/releases/${release}`;
    return united(await this.#origins.all(preparedSchema, 'PUT', target, { manifest }));
  }

  async publish(site: string, objects: readonly ReleaseObject[]): Promise<void> {
    await this.#origins.all(ANYTHING, 'POST', `/v1/sites/${site}/publications`, { objects });
  }

  /** @returns the paths whose objects are gone */
  async retire(
    site: string,
    manifest: string,
    except: readonly string[],
  ): Promise<readonly string[]> {
    const target = `/v1/sites/${site}/releases/retirements`;
    const answers = await this.#origins.all(retiredSchema, 'POST', target, { manifest, except });
    return [...new Set(answers.flatMap(({ deleted }) => deleted))];
  }

  async letGo(site: string, release: string): Promise<void> {
    await this.#origins.all(ANYTHING, 'DELETE', `/v1/sites/${site}/holds/release-${release}`);
  }
}

export const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex');

function united(all: readonly Prepared[]): Prepared {
  const changed = new Set(all.flatMap((one) => one.changed));
  const added = new Set(all.flatMap((one) => one.added));
  return {
    // What one origin lacks and another has is not new to caches.
    added: [...added].filter((path) => !changed.has(path)),
    changed: [...changed],
    deleted: [...new Set(all.flatMap(({ deleted }) => deleted))],
    latestMs: Math.max(...all.map(({ latestMs }) => latestMs)),
    bytes: Math.max(...all.map(({ bytes }) => bytes)),
  };
}
