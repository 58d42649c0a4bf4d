import { buffer } from 'node:stream/consumers';
import { Agent } from 'undici';

// Requests for numbered objects whose every byte is known.

export const OBJECTS = 150;

/** Of many sizes, each of its own bytes; every tenth is large. */
export const bodyOf = (index: number): Buffer =>
  Buffer.alloc(index % 10 === 0 ? 3_000_000 + index : 500 + index * 37, `object ${index};`);

export const agent = new Agent({ connections: 32 });

/** @returns `right`, or what is wrong with the answer */
export async function get(edge: string, index: number): Promise<string> {
  const { statusCode, body } = await agent.request({
    origin: edge,
    path: `/${index}`,
    method: 'GET',
  });
  const received = await buffer(body);
  if (statusCode !== 200) return `status ${statusCode}`;
  return received.equals(bodyOf(index)) ? 'right' : `${received.length} wrong bytes`;
}

/** Clients that know every edge, and ask another where the one that was killed fails them. */
export class Load {
  readonly failures: string[] = [];
  /** Edges whose failure is no failure of the network. */
  readonly mayFail = new Set<string>();
  readonly #edges: readonly string[];
  #answered = 0;
  #stopped = false;
  #waiting: { readonly until: number; readonly resolve: () => void } | undefined;

  constructor(edges: readonly string[]) {
    this.#edges = edges;
  }

  async run(client: number): Promise<void> {
    for (let i = client; !this.#stopped; i += 7) {
      const outcome = await this.#request(i % OBJECTS, i % this.#edges.length);
      if (outcome !== 'right') this.failures.push(`/${i % OBJECTS}: ${outcome}`);
      this.#answered++;
      if (this.#waiting !== undefined && this.#answered >= this.#waiting.until) {
        this.#waiting.resolve();
      }
    }
  }

  /** Resolves when so many more requests have been answered. */
  answered(count: number): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting = { until: this.#answered + count, resolve };
    });
  }

  stop(): void {
    this.#stopped = true;
  }

  async #request(index: number, first: number): Promise<string> {
    const order = [...this.#edges.slice(first), ...this.#edges.slice(0, first)];
    for (const edge of order) {
      try {
        return await get(edge, index);
      } catch (error) {
        if (!this.mayFail.has(edge)) return `${edge}: ${String(error)}`;
      }
    }
    return 'no edge is left';
  }
}
