import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Cancel, Clock } from '#core/clock.ts';
import type { Node } from '#core/contract/node.ts';
import type { Question } from '#core/contract/question.ts';
import { CONTRACT, CONTRACT_FIELD } from '#core/contract/version.ts';
import { JOURNAL_SEQUENCE_FIELD } from '#core/node/journal-stream.ts';
import type { Journal } from '../journal/journal.ts';
import { configFor, eventFor } from '../journal/redact.ts';

const KEEP_ALIVE_MS = 2_000;

/** A reader that takes nothing for so long is gone. */
const STALLED_MS = 10_000;

/** Events read at once: with the socket's own buffer, all that one slow reader can hold. */
const PAGE_EVENTS = 256;

interface OpenStream {
  readonly response: ServerResponse;
  readonly ending: AbortController;
}

/** The journal as server-sent events, one stream per node. */
export class NodeStreams {
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #open = new Map<string, OpenStream>();

  constructor(journal: Journal, clock: Clock) {
    this.#journal = journal;
    this.#clock = clock;
    journal.onChange((events) => {
      if (events === undefined) return this.endAll();
      for (const event of events) if (event.type === 'node.delete') this.end(event.name);
    });
  }

  /**
   * Whether a node at `after` can go on with events alone.
   * @param id of the journal that `after` belongs to, if it says
   * @param after `undefined`: the node has nothing yet
   */
  async reaches(id: string | undefined, after: number | undefined): Promise<boolean> {
    if (after === undefined) return false;
    // It may have been told so far by another control plane.
    if (after > this.#journal.config.sequence) await this.#journal.catchUp();
    const { journal, sequence } = this.#journal.config;
    if ((id ?? journal) !== journal || after > sequence) return false;
    return (await this.#journal.events(after, 1)) !== undefined;
  }

  /**
   * Streams until the reader goes, stalls, or is ended; the stream that the node had before ends.
   * @param after where to go on; `undefined`: with a snapshot
   */
  async serve(response: ServerResponse, node: Node, after: number | undefined): Promise<void> {
    const ending = new AbortController();
    this.end(node.name);
    const stream = { response, ending };
    this.#open.set(node.name, stream);
    const end = (): void => ending.abort();
    response.once('close', end).once('error', end);
    if (response.destroyed) end();
    const stopKeepAlive = this.#keepAlive(response, end);
    try {
      await this.#send(response, node, after, ending.signal);
    } catch (error) {
      if (!ending.signal.aborted) throw error;
    } finally {
      stopKeepAlive();
      response.destroy();
      if (this.#open.get(node.name) === stream) this.#open.delete(node.name);
    }
  }

  /** Streams that are open. */
  get size(): number {
    return this.#open.size;
  }

  /** Ends the node's stream, if it has one. */
  end(node: string): void {
    this.#open.get(node)?.ending.abort();
  }

  endAll(): void {
    for (const { ending } of this.#open.values()) ending.abort();
  }

  /** Asks nodes that are linked here and keep up. @param nodes left out: all of them */
  ask(question: Question, nodes?: readonly string[]): void {
    // It has no id, so that no node takes it for a place in the journal.
    const frame = `event: question\ndata: ${JSON.stringify(question)}\n\n`;
    for (const [node, { response }] of this.#open) {
      if (nodes?.includes(node) === false) continue;
      if (response.headersSent && !response.writableNeedDrain) response.write(frame);
    }
  }

  async #send(
    response: ServerResponse,
    node: Node,
    after: number | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const { config } = this.#journal;
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      [JOURNAL_SEQUENCE_FIELD]: String(config.sequence),
      [CONTRACT_FIELD]: String(CONTRACT),
    });
    response.flushHeaders();
    const write = async (text: string): Promise<void> => {
      if (!response.write(text)) await once(response, 'drain', { signal });
    };
    let last = after ?? config.sequence;
    if (after === undefined) await write(frame('snapshot', last, configFor(node, config)));
    for (;;) {
      await this.#journal.moved(last, signal);
      const events = await this.#journal.events(last, PAGE_EVENTS);
      // Trimmed away under a reader too slow: it will come back for a snapshot.
      if (events === undefined) return;
      for (const event of events) {
        signal.throwIfAborted();
        await write(frame('event', event.sequence, eventFor(node, event)));
        last = event.sequence;
      }
    }
  }

  #keepAlive(response: ServerResponse, end: () => void): Cancel {
    let stalledMs = 0;
    const tick = (): void => {
      stalledMs = response.writableNeedDrain ? stalledMs + KEEP_ALIVE_MS : 0;
      if (stalledMs >= STALLED_MS) return end();
      if (response.headersSent && stalledMs === 0) response.write(':\n\n');
      cancel = this.#clock.after(KEEP_ALIVE_MS, tick);
    };
    let cancel = this.#clock.after(KEEP_ALIVE_MS, tick);
    return () => cancel();
  }
}

const frame = (event: string, id: number, data: object): string =>
  `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
