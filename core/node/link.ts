import { mkdir } from 'node:fs/promises';
import type { Logger } from 'pino';
import { type Clock, delay } from '#core/clock.ts';
import type { Config, JournalEvent } from '#core/contract/event.ts';
import { ANSWERS, type Question, type Said } from '#core/contract/question.ts';
import {
  type Ailment,
  type Load,
  MAX_MISSING_CERTIFICATES,
  type ParentReport,
  type PurgeReport,
  type Refusal,
} from '#core/contract/report.ts';
import { CanopyError, messageOf } from '#core/errors.ts';
import { Acknowledger } from './acknowledger.ts';
import { Answerer } from './answerer.ts';
import { applyEvent } from './config.ts';
import { ControlPlaneClient, isLasting } from './control-plane-client.ts';
import { Heart } from './heart.ts';
import { readJournalStream, type StreamMessage } from './journal-stream.ts';
import { LastGoodConfig } from './last-good.ts';
import { NodeLease } from './lease.ts';
import {
  type ConfigReading,
  type LastGood,
  readEvent,
  readLastGood,
  readSnapshot,
} from './reading.ts';
import { type CheckSite, refusalsOf, type Withheld } from './told-sites.ts';
import { version } from './version.ts';

/** Told to the control plane at once. */
const MAX_REFUSALS = 100;

const SHORTEST_BACKOFF_MS = 100;
const LONGEST_BACKOFF_MS = 2_000;

/** How long a node that stops tries to say so. */
const LEAVE_PATIENCE_MS = 500;

/** How long a start waits for a control plane before it goes by the last good config. */
const START_PATIENCE_MS = 2_000;

export interface NodeLinkOptions {
  /** Base URLs of the control plane's replicas, tried in turn. */
  readonly controlPlaneUrls: readonly string[];
  readonly credential: string;
  /** Authorities (PEM) that the control plane's certificate is checked by, in place of those of the system. */
  readonly controlPlaneCa?: string;
  /** The node's directory; made if missing. */
  readonly dir: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Where the lease is kept; by default the link's own. */
  readonly lease?: NodeLease;
  /**
   * Applies what the journal says; called one at a time and in order. What it resolves to is
   * acknowledged; if it rejects, nothing is, and the event is delivered again.
   * @param config as of `config.sequence`, which is the new fence
   * @param event the one that led to `config`; `undefined` for a whole configuration
   * @param reset purges may have been missed: all stored content counts as soft-purged
   * @returns for a purge, what it hit
   */
  readonly onConfig: (
    config: Config,
    event: JournalEvent | undefined,
    reset: boolean,
  ) => Promise<PurgeReport | undefined>;
  /** Up to where what outlived the last process has heeded the journal; left out: nothing has outlived it. */
  readonly heeded?: { readonly journal: string | undefined; readonly sequence: number } | undefined;
  /** Whether the node can serve by a site: throws where not. Left out: by any that fits the schema. */
  readonly checkSite?: CheckSite;
  /** What the node has done since it started, for heartbeats. */
  readonly load: () => Load;
  /** The parents that are not well as the node sees them, for heartbeats; by default none. */
  readonly parents?: () => readonly ParentReport[];
  /** Names of certificates that the node cannot present, for heartbeats; by default none. */
  readonly missingCertificates?: () => readonly string[];
  /** What the node is unwell with, for heartbeats; by default nothing. */
  readonly ailments?: () => readonly Ailment[];
  /** What the control plane wants to know live; left out: a node that does not say. */
  readonly answer?: (question: Question) => Promise<Said>;
}

/** A node's link to the control plane: it follows the journal, acknowledges, and keeps its lease. */
export class NodeLink {
  readonly lease: NodeLease;
  readonly #options: NodeLinkOptions;
  readonly #client: ControlPlaneClient;
  readonly #lastGood: LastGoodConfig;
  readonly #acknowledger: Acknowledger;
  readonly #answerer: Answerer;
  readonly #heart: Heart;
  readonly #stopping = new AbortController();
  readonly #ready = Promise.withResolvers<void>();
  readonly #waiters = new Set<() => void>();
  #config: Config | undefined;
  #withheld: readonly Withheld[] = [];
  #running: Promise<void> | undefined;
  #streaming = false;
  #heardOf = 0;
  #backoffMs = SHORTEST_BACKOFF_MS;
  #complaint = '';

  constructor(options: NodeLinkOptions) {
    const { clock, log } = options;
    this.#options = options;
    // Only who calls `start` is told.
    this.#ready.promise.catch(() => undefined);
    this.lease = options.lease ?? new NodeLease(clock);
    this.#client = new ControlPlaneClient({
      urls: options.controlPlaneUrls,
      credential: options.credential,
      ca: options.controlPlaneCa,
    });
    this.#lastGood = new LastGoodConfig(options);
    this.#acknowledger = new Acknowledger({
      clock,
      log,
      post: async (body) => {
        const acknowledgement = { ...body, refusals: this.refusals };
        await this.#client.post('/v1/node/acknowledgements', acknowledgement);
      },
    });
    this.#answerer = new Answerer({
      log,
      // Without a configuration there is nothing to go by.
      answer: (question) => (this.#config === undefined ? undefined : options.answer?.(question)),
      post: async (body) => void (await this.#client.post('/v1/node/answers', body)),
    });
    this.#heart = new Heart({
      clock,
      log,
      lease: this.lease,
      heartbeat: () => ({
        fence: this.fence,
        pid: process.pid,
        version,
        load: options.load(),
        parents: [...(options.parents?.() ?? [])],
        refusals: this.refusals,
        missingCertificates: (options.missingCertificates?.() ?? []).slice(
          0,
          MAX_MISSING_CERTIFICATES,
        ),
        ailments: [...(options.ailments?.() ?? [])],
        answers: options.answer === undefined ? [] : [...ANSWERS],
      }),
      post: (body) => this.#client.post('/v1/node/heartbeats', body),
    });
  }

  /** Sequence of the last event applied; 0 before there is a configuration. */
  get fence(): number {
    return this.#config?.sequence ?? 0;
  }

  /** The events that the node could not apply, and that still count. */
  get refusals(): Refusal[] {
    return refusalsOf(this.#withheld).slice(0, MAX_REFUSALS);
  }

  /** Sequence of the last event that the control plane has told of; 0 before it was reached. */
  get heardOf(): number {
    return this.#heardOf;
  }

  /** Whether the control plane sends the journal now. */
  get isFollowing(): boolean {
    return this.#streaming;
  }

  /**
   * Resolves when the node has a configuration to serve by: all the journal held when the control plane
   * was reached, or the last good config if none answers within 2 s. Without either it goes on trying.
   * @throws CanopyError `unavailable` if stopped before that, `unauthenticated` without a valid credential,
   *   `contract-unsupported` if the control plane is of another version than it can follow
   */
  async start(): Promise<void> {
    await mkdir(this.#options.dir, { recursive: true });
    const lastGood = this.#asHeeded(await this.#lastGood.read());
    if (lastGood !== undefined) {
      const reading = readLastGood(lastGood, this.#checkSite);
      if (await this.#apply(reading, undefined, false)) void this.#goByLastGood();
    }
    this.#running = this.#run();
    await this.#ready.promise;
  }

  /**
   * Asks the control plane.
   * @throws CanopyError if no replica takes it
   */
  post(path: string, body: unknown): Promise<unknown> {
    return this.#client.post(path, body);
  }

  /** The same without content to send. */
  get(path: string): Promise<unknown> {
    return this.#client.get(path);
  }

  /** Whether the fence reaches `sequence` within `timeoutMs`. */
  waitForFence(sequence: number, timeoutMs: number): Promise<boolean> {
    if (this.fence >= sequence) return Promise.resolve(true);
    return new Promise((resolve) => {
      const settle = (): void => {
        if (this.fence < sequence && !this.#stopping.signal.aborted) return;
        cancel();
        this.#waiters.delete(settle);
        resolve(this.fence >= sequence);
      };
      const cancel = this.#options.clock.after(timeoutMs, () => {
        this.#waiters.delete(settle);
        resolve(false);
      });
      this.#waiters.add(settle);
    });
  }

  /**
   * Ends the link once what is being applied is; keeps the last good config. Called when the node
   * no longer serves, for the control plane is told not to wait for its lease.
   */
  async stop(): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    this.#stopping.abort();
    this.#ready.reject(new CanopyError('unavailable', 'The node was stopped before it was ready'));
    this.#wake();
    this.#acknowledger.stop();
    await Promise.all([this.#heart.stop(), this.#lastGood.flush()]);
    if (!this.lease.ended()) await this.#leave();
    await this.#client.close();
    await this.#running;
    await this.#lastGood.flush();
  }

  /** Without an answer the lease ends by itself. */
  async #leave(): Promise<void> {
    const cancel = this.#options.clock.after(LEAVE_PATIENCE_MS, () => void this.#client.close());
    await this.#client.post('/v1/node/leave', {}).catch((error: unknown) => this.#complain(error));
    cancel();
  }

  /** The journal is replayed from where all that is stored has heeded it. */
  #asHeeded(lastGood: LastGood | undefined): LastGood | undefined {
    const { heeded } = this.#options;
    if (lastGood === undefined || heeded?.journal !== lastGood.journal) return lastGood;
    return { ...lastGood, sequence: Math.min(lastGood.sequence, heeded.sequence) };
  }

  async #goByLastGood(): Promise<void> {
    do {
      await delay(this.#options.clock, START_PATIENCE_MS);
    } while (this.#streaming);
    this.#ready.resolve();
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      await this.#followOnce().catch((error: unknown) => this.#failed(error));
      if (this.#stopping.signal.aborted) return;
      this.#streaming = false;
      this.#client.advance();
      await this.#backOff();
    }
  }

  /** Follows one stream to its end. */
  async #followOnce(): Promise<void> {
    const { clock } = this.#options;
    let target = 0;
    const stream = readJournalStream({
      url: new URL('/v1/node/stream', this.#client.url),
      authorization: this.#client.authorization,
      after: this.#config,
      dispatcher: this.#client.agent,
      clock,
      signal: this.#stopping.signal,
    });
    for await (const message of stream) {
      if (message.kind === 'question') {
        void this.#answerer.heard(message.text);
        continue;
      }
      if (message.kind === 'open') {
        this.#streaming = true;
        target = message.sequence;
        this.#heardOf = target;
      } else if (!(await this.#take(message))) {
        return;
      }
      if (this.#stopping.signal.aborted) return;
      if (this.#config !== undefined && this.fence >= target) this.#caughtUp(message);
    }
    throw new CanopyError('upstream-unreachable', 'The control plane ended the stream');
  }

  /** The node knows all that the journal held when the stream was opened. */
  #caughtUp(message: StreamMessage): void {
    this.#backoffMs = SHORTEST_BACKOFF_MS;
    if (this.#complaint !== '') this.#options.log.info('Follows the journal again');
    this.#complaint = '';
    this.#ready.resolve();
    // Only a node that has caught up is granted a lease, so this is when to ask for one.
    if (this.lease.ended() || message.kind !== 'event') this.#heart.beat();
  }

  /** @returns false if the stream is of no use any more */
  async #take(message: Extract<StreamMessage, { text: string }>): Promise<boolean> {
    try {
      const input: unknown = JSON.parse(message.text);
      if (message.kind === 'snapshot') {
        const reading = readSnapshot(input, this.#config, this.#checkSite);
        this.#heardOf = Math.max(this.#heardOf, reading.config.sequence);
        return await this.#apply(reading, undefined, true);
      }
      const { event, withheld } = readEvent(input, this.#withheld, this.#checkSite);
      this.#heardOf = Math.max(this.#heardOf, event.sequence);
      if (this.#config === undefined || event.sequence > this.fence + 1) {
        this.#complain(`Event ${event.sequence} came after ${this.fence}`);
        return false;
      }
      if (event.sequence <= this.fence) return true;
      const config = applyEvent(this.#config, event);
      // A purge names hosts by the sites that it was ordered for, which this node may not have.
      const mayMiss = event.type === 'purge' && withheld.length > 0;
      return await this.#apply({ config, withheld }, event, mayMiss);
    } catch (error) {
      this.#options.log.error(`Ignored what the control plane sent: ${messageOf(error)}`);
      return false;
    }
  }

  get #checkSite(): CheckSite {
    return this.#options.checkSite ?? (() => undefined);
  }

  async #apply(
    { config, withheld }: ConfigReading,
    event: JournalEvent | undefined,
    reset: boolean,
  ): Promise<boolean> {
    try {
      const report = await this.#options.onConfig(config, event, reset);
      this.#config = config;
      this.#keepWithheld(withheld);
      this.#lastGood.save({ ...config, withheld: [...withheld] });
      // What comes from the disk need not be acknowledged: opening the stream says how far we are.
      if (event !== undefined || reset) this.#acknowledger.add(config.sequence, report);
      this.#wake();
      return true;
    } catch (error) {
      this.#options.log.error(`Could not apply ${config.sequence}: ${messageOf(error)}`);
      return false;
    }
  }

  #keepWithheld(withheld: readonly Withheld[]): void {
    const known = new Set(this.refusals.map(({ sequence }) => sequence));
    this.#withheld = withheld;
    for (const refusal of this.refusals) {
      if (!known.has(refusal.sequence)) this.#options.log.error(refusal, 'Refused a configuration');
    }
  }

  #wake(): void {
    for (const settle of this.#waiters) settle();
  }

  /** A refusal that lasts is an error of the start; a node that has a configuration serves on. */
  #failed(error: unknown): void {
    this.#complain(error);
    if (!isLasting(error) || this.#config !== undefined) return;
    this.#ready.reject(error);
  }

  /** Says what is wrong once, not at every attempt. */
  #complain(problem: unknown): void {
    const complaint = messageOf(problem);
    if (this.#stopping.signal.aborted || complaint === this.#complaint) return;
    this.#complaint = complaint;
    this.#options.log.warn(`Lost the journal: ${complaint}`);
  }

  async #backOff(): Promise<void> {
    const { clock } = this.#options;
    // Jitter, so that a thousand nodes do not come back in one instant.
    const pauseMs = this.#backoffMs * (0.5 + Math.random() / 2);
    this.#backoffMs = Math.min(this.#backoffMs * 2, LONGEST_BACKOFF_MS);
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = clock.after(pauseMs, resolve);
    const { signal } = this.#stopping;
    const stop = (): void => resolve();
    signal.addEventListener('abort', stop);
    await promise;
    signal.removeEventListener('abort', stop);
    cancel();
  }
}
