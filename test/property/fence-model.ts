import { DatabaseSync } from 'node:sqlite';
import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import type { PurgeRequest } from '#control-plane/purge/plan.ts';
import { sqliteState } from '#control-plane/state/sqlite.ts';
import { nodeSchema } from '#core/contract/node.ts';
import type { PurgeMode } from '#core/contract/purge.ts';
import { type SiteInput, siteSchema } from '#core/contract/site.ts';
import { fieldValue } from '#core/http/fields.ts';
import { type Attempt, AttemptFailed, type UpstreamResponse } from '#core/tree/attempt.ts';
import { FakeClock } from '#test/scenario/kit/clock.ts';
import { ModelControlPlane } from './fence-control-plane.ts';
import { handled, ModelNode, skewed } from './fence-node.ts';
import {
  CONCERNS,
  HOST,
  OBJECTS,
  OTHER_HOST,
  type Publish,
  type Step,
  TARGETS,
} from './fence-steps.ts';

const NODES = [
  ['oslo', 'edge'],
  ['rome', 'edge'],
  ['london', 'mid-tier'],
  ['paris', 'mid-tier'],
] as const;
const ORIGIN = 'http://origin';

/** What is served though it is known to be stale, and says so. */
const STALE = new Set([
  'stale-while-revalidate',
  'stale-if-error',
  'stale-while-slow',
  'refill-limited',
]);

/** A purge, and the versions that are not to be served once it is complete. */
interface Promised {
  readonly id: string;
  readonly mode: PurgeMode;
  readonly sequence: number;
  readonly least: readonly number[];
  complete: boolean;
}

/** How one schedule's network is set up. */
export interface Setup {
  readonly onLeaseEnd: 'serve' | 'revalidate';
  readonly staleWhileRevalidateSeconds: 0 | 600;
  /** Of each node's clock. */
  readonly paces: readonly number[];
  readonly offsetsMs: readonly number[];
}

/**
 * Two control planes on one state, two edges, two mid-tiers and an origin. All are the real ones but for the origin,
 * the connections and the clocks.
 */
export class FenceModel {
  readonly #setup: Setup;
  readonly #clock = new FakeClock();
  readonly #database = new DatabaseSync(':memory:');
  readonly #nodes: readonly ModelNode[];
  readonly #versions = OBJECTS.map(() => 1);
  readonly #promised: Promised[] = [];
  readonly #held: (() => void)[] = [];
  /** Messages until one is held. */
  #holdAfter = Infinity;
  #store = sqliteState(this.#database);
  /** On one state. */
  readonly #controlPlanes: ModelControlPlane[] = [];
  readonly #broken: string[] = [];

  constructor(setup: Setup) {
    this.#setup = setup;
    this.#nodes = NODES.map(([name, tier], i) => {
      const clock = skewed(this.#clock, setup.paces[i] ?? 1, setup.offsetsMs[i] ?? 0);
      return new ModelNode(name, tier, clock);
    });
  }

  /**
   * Plays the steps, then lets all that is under way come to its end and looks at everything.
   * @returns how the promise was broken
   */
  async play(steps: readonly Step[]): Promise<readonly string[]> {
    await this.#start();
    for (const step of steps) await this.#take(step);
    await this.#end();
    for (const { serving } of this.#nodes) await serving.close();
    for (const { purges } of this.#controlPlanes) purges.close();
    this.#database.close();
    return this.#broken;
  }

  /** What `Connections.send` is to be replaced by. */
  async send(attempt: Attempt): Promise<UpstreamResponse> {
    const { parent } = attempt;
    const requestedAt = this.#clock.now();
    await this.#travel();
    const node = this.#nodes.find(({ name }) => parent.url === `http://${name}`);
    if (node?.reachable === false) {
      attempt.onEnd('refused');
      throw new AttemptFailed(parent, 'refused', new Error('It is down'));
    }
    const { status, fields, content } =
      node === undefined
        ? this.#originAnswers(attempt)
        : await handled(node, attempt.target, attempt.fields);
    await this.#travel();
    attempt.onEnd('complete');
    return {
      parent,
      status,
      fields,
      body: Readable.from(content.length > 0 ? [content] : []),
      discard: () => undefined,
      requestedAt,
      receivedAt: this.#clock.now(),
    };
  }

  async #start(): Promise<void> {
    for (const n of [0, 1]) await this.#openControlPlane(n);
    const { journal } = this.#controlPlane(0);
    const { onLeaseEnd, staleWhileRevalidateSeconds } = this.#setup;
    const site: SiteInput = {
      name: 'site',
      hosts: [HOST, OTHER_HOST],
      origin: { kind: 'pull', servers: [{ url: ORIGIN }], hostHeader: 'client' },
      cache: { staleWhileRevalidateSeconds },
      onLeaseEnd,
    };
    const nodes = NODES.map(([name, tier]) =>
      nodeSchema.parse({
        name,
        tier,
        url: `http://${name}`,
        location: { name: 'here', latitude: 0, longitude: 0 },
      }),
    );
    await journal.change(() => ({
      entries: [
        { type: 'site.put', site: siteSchema.parse(site) },
        ...nodes.map((node) => ({ type: 'node.put' as const, node })),
      ],
    }));
    await this.#controlPlane(1).hear();
    for (const node of this.#nodes) {
      node.heed(journal.config);
      await this.#resume(node);
      for (let i = 0; i < 2; i++) await this.#of(node).beat(node);
    }
  }

  async #end(): Promise<void> {
    this.#holdAfter = Infinity;
    for (const node of this.#nodes) {
      node.reachable = true;
      if (!node.linked) await this.#link(node);
    }
    for (const n of [0, 1]) await this.#take({ do: 'hear', controlPlane: n });
    await this.#take({ do: 'round' });
    for (const release of this.#held.splice(0)) release();
    await this.#take({ do: 'wait', ms: 11_000 });
    await this.#take({ do: 'round' });
    for (const n of [0, 1]) await this.#take({ do: 'hear', controlPlane: n });
    for (const { id, complete } of this.#promised) {
      if (!complete) this.#broken.push(`Purge ${id} does not complete`);
    }
    for (const edge of [0, 1]) {
      for (const object of OBJECTS.keys()) await this.#take({ do: 'get', edge, object });
    }
  }

  async #take(step: Step): Promise<void> {
    await this.#do(step);
    await settled();
    await this.#note();
  }

  async #do(step: Step): Promise<void> {
    switch (step.do) {
      case 'get':
        void this.#get(nth(this.#nodes.slice(0, 2), step.edge), step.object % OBJECTS.length);
        return;
      case 'change':
        this.#change(step.object % OBJECTS.length);
        return;
      case 'publish':
        this.#change(step.object % OBJECTS.length);
        return this.#purge(step);
      case 'deliver':
        return this.#deliver(nth(this.#nodes, step.node));
      case 'acknowledge':
        return this.#acknowledge(nth(this.#nodes, step.node));
      case 'beat': {
        const node = nth(this.#nodes, step.node);
        return this.#of(node).beat(node);
      }
      case 'link':
        return this.#link(nth(this.#nodes, step.node));
      case 'restart': {
        const node = nth(this.#nodes, step.node);
        node.restart();
        return this.#resume(node);
      }
      case 'snapshot': {
        const node = nth(this.#nodes, step.node);
        if (!node.linked) return;
        await this.#of(node).resume(node, 0);
        node.heed(this.#of(node).journal.config);
        return;
      }
      case 'fail': {
        const node = nth(this.#nodes.slice(2), step.midTier);
        node.reachable = !node.reachable;
        return;
      }
      case 'round':
        for (const node of this.#nodes) {
          while (node.linked && node.fence < this.#of(node).journal.config.sequence) {
            await this.#deliver(node);
          }
          await this.#acknowledge(node);
          for (let i = 0; i < 2; i++) await this.#of(node).beat(node);
        }
        return;
      case 'hold':
        this.#holdAfter = step.after;
        return;
      case 'release':
        if (this.#held.length > 0) {
          this.#held.splice(step.message % this.#held.length, 1)[0]?.();
        }
        return;
      case 'restart control plane':
        return this.#openControlPlane(step.controlPlane);
      case 'restart all control planes':
        // With it goes what the state remembers of the nodes' standings.
        this.#store = sqliteState(this.#database);
        for (const n of [0, 1]) await this.#openControlPlane(n);
        return;
      case 'fail over': {
        const node = nth(this.#nodes, step.node);
        node.controlPlane = 1 - node.controlPlane;
        return this.#resume(node);
      }
      case 'hear':
        return this.#controlPlane(step.controlPlane).hear();
      case 'wait':
        this.#clock.advance(`${step.ms}ms`);
    }
  }

  /** A client's request, and what it may not be answered with. */
  async #get(edge: ModelNode, index: number): Promise<void> {
    const { host, path } = nth(OBJECTS, index);
    const { lease } = edge;
    const endedBefore = lease.ended();
    const complete = this.#promised.filter((purge) => purge.complete);
    const { status, fields, content } = await handled(edge, path, ['Host', host]);
    if (status !== 200) return;
    // A node that serves on without a lease says so, or has said so when it began.
    if (this.#setup.onLeaseEnd === 'serve' && (endedBefore || lease.ended())) return;
    const said = fieldValue(fields, 'cache-status')?.split(', ').at(-1) ?? '';
    const reason = /detail=([a-z-]+)/.exec(said)?.[1] ?? '';
    for (const { id, mode, sequence, least } of complete) {
      const isSoft = mode === 'soft' || mode === 'refresh' || sequence <= edge.distrusted;
      const isOld = Number(content) < (least[index] ?? 0);
      // Where no parent answers, a node without a lease has nothing better.
      const hasNone = reason === 'stale-if-error' && (endedBefore || lease.ended());
      if (!isOld || hasNone || (isSoft && STALE.has(reason))) continue;
      this.#broken.push(
        `${edge.name} gave version ${content.toString()} of ${host}${path} (${said}), after ${mode} purge ${id} of all before ${least[index]}`,
      );
    }
  }

  #originAnswers({ target, fields }: Attempt) {
    const host = fieldValue(fields, 'host');
    const index = OBJECTS.findIndex((object) => object.host === host && object.path === target);
    const etag = `"${this.#versions[index]}"`;
    const tags = nth(OBJECTS, index).tags.join(',');
    const isSame = fieldValue(fields, 'if-none-match') === etag;
    return {
      status: isSame ? 304 : 200,
      fields: ['Cache-Control', 'max-age=3600', 'ETag', etag, 'Cache-Tag', tags],
      content: Buffer.from(isSame ? '' : String(this.#versions[index])),
    };
  }

  #change(index: number): void {
    this.#versions[index] = (this.#versions[index] ?? 0) + 1;
  }

  async #purge({ object, kind, mode, controlPlane }: Publish): Promise<void> {
    const named = nth(OBJECTS, object);
    const least = OBJECTS.map((other, i) =>
      CONCERNS[kind](named, other) ? (this.#versions[i] ?? 0) : 0,
    );
    const request = { ...TARGETS[kind](named), mode } as PurgeRequest;
    const orderer = { by: 'admin', sites: null };
    const { purges } = this.#controlPlane(controlPlane);
    const { id, sequences } = await purges.order(request, orderer, () => undefined);
    this.#promised.push({ id, mode, sequence: Math.max(...sequences), least, complete: false });
  }

  /** Notes which purges have been reported complete. */
  async #note(): Promise<void> {
    for (const promised of this.#promised.filter(({ complete }) => !complete)) {
      for (const { purges } of this.#controlPlanes) {
        promised.complete ||= (await purges.find(promised.id))?.status === 'complete';
      }
    }
  }

  #controlPlane(n: number): ModelControlPlane {
    return nth(this.#controlPlanes, n);
  }

  /** The control plane that a node is linked to, when it is. */
  #of(node: ModelNode): ModelControlPlane {
    return this.#controlPlane(node.controlPlane);
  }

  async #openControlPlane(n: number): Promise<void> {
    this.#controlPlanes[n]?.purges.close();
    this.#controlPlanes[n] = await ModelControlPlane.open(this.#store, this.#clock);
    for (const node of this.#nodes) {
      if (node.config !== undefined && node.controlPlane === n) await this.#resume(node);
    }
  }

  async #link(node: ModelNode): Promise<void> {
    node.linked = !node.linked;
    await this.#resume(node);
  }

  async #resume(node: ModelNode): Promise<void> {
    if (node.linked) await this.#of(node).resume(node);
  }

  async #deliver(node: ModelNode): Promise<void> {
    if (node.linked) await this.#of(node).deliver(node);
  }

  async #acknowledge(node: ModelNode): Promise<void> {
    if (node.linked) await this.#of(node).acknowledge(node);
  }

  /** A message is on its way. */
  async #travel(): Promise<void> {
    if (this.#holdAfter-- > 0) return;
    this.#holdAfter = Infinity;
    await new Promise<void>((arrive) => void this.#held.push(arrive));
  }
}

/** All that can happen without time passing and without what is held has happened. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await setImmediate();
}

function nth<T>(list: readonly T[], n: number): T {
  const found = list[n % list.length];
  if (found === undefined) throw new Error('There is none to choose from');
  return found;
}
