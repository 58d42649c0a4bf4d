import { Agents } from '#core/tree/agents.ts';
import type { Clock } from '#core/clock.ts';
import type { Config } from '#core/contract/event.ts';
import {
  askedSchema,
  type ExplainAsked,
  type Explained,
  explainedSchema,
} from '#core/contract/explain.ts';
import { validate } from '#core/contract/validate.ts';
import { CanopyError, messageOf, MethodNotAllowed } from '#core/errors.ts';
import { fieldValue } from '#core/http/fields.ts';
import type { Exchange, Sent } from '#core/serving/exchange.ts';
import { problemOf } from '#core/serving/problem.ts';
import { TIER_FIELDS } from '#core/tree/tier-fields.ts';
import { isTierKey } from '#core/tree/tier-key.ts';

// How a node has another explain itself while a client waits: beside the requests that are explained,
// which go their way untouched.

const TARGET = '/.canopy/explain';
/** A client waits for it. */
const PATIENCE_MS = 1_000;
/** Field lines of a request are far less; what is stored of a URL may have many variants. */
const MAX_QUESTION_BYTES = 256 * 1024;
const MAX_ANSWER_BYTES = 1024 * 1024;

/** Asks other nodes of the network. */
export class TierExplainer {
  readonly #clock: Clock;
  readonly #agents = new Agents({ keepsConnections: false });

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @returns `undefined`: the node is not there, does not answer in time, or is of an older version */
  async ask(
    { nodes, network }: Pick<Config, 'nodes' | 'network'>,
    name: string,
    asked: ExplainAsked,
  ): Promise<Explained | undefined> {
    const node = nodes.find((candidate) => candidate.name === name);
    if (node === undefined) return undefined;
    const abort = new AbortController();
    const cancel = this.#clock.after(PATIENCE_MS, () => abort.abort());
    try {
      const { statusCode, body } = await this.#agents.of(undefined, PATIENCE_MS).request({
        origin: node.url,
        path: TARGET,
        method: 'POST',
        headers: { [TIER_FIELDS.key]: network.tierKey, 'content-type': 'application/json' },
        body: JSON.stringify(asked),
        signal: abort.signal,
      });
      const text = (await readUpTo(body, MAX_ANSWER_BYTES)).toString();
      return statusCode === 200
        ? validate(explainedSchema, JSON.parse(text), 'explanation')
        : undefined;
    } catch {
      return undefined;
    } finally {
      cancel();
    }
  }

  close(): Promise<void> {
    return this.#agents.close();
  }
}

/** Whether a request is a node's that wants this one to explain itself. */
export const isTierExplain = ({ received }: Pick<Exchange, 'received'>): boolean =>
  received.target === TARGET;

/** Answers such a request. */
export async function answerTierExplain(
  exchange: Exchange,
  network: Config['network'],
  explain: (asked: ExplainAsked) => Promise<Explained>,
): Promise<Sent> {
  const { method, fields } = exchange.received;
  try {
    if (!isTierKey(fieldValue(fields, TIER_FIELDS.key.toLowerCase()), network)) {
      throw new CanopyError('forbidden', 'Only nodes of this network are told');
    }
    if (method !== 'POST') throw new MethodNotAllowed(method, 'POST');
    const content = await readUpTo(exchange.content, MAX_QUESTION_BYTES);
    const asked = validate(askedSchema, parsed(content.toString()), 'question');
    const body = Buffer.from(JSON.stringify(await explain(asked)));
    const type = ['Content-Type', 'application/json', 'Cache-Control', 'no-store'];
    return exchange.respond(200, [...type, 'Content-Length', String(body.length)], [body]);
  } catch (error) {
    const failure =
      error instanceof CanopyError ? error : new CanopyError('internal-error', messageOf(error));
    const { status, fields: said, body } = problemOf(failure);
    return exchange.respond(status, said, [body]);
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CanopyError('invalid-request', 'The question is not JSON', { cause });
  }
}

/** @throws CanopyError `content-too-large` */
async function readUpTo(content: AsyncIterable<Buffer>, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of content) {
    bytes += chunk.length;
    if (bytes > maxBytes) {
      throw new CanopyError('content-too-large', `At most ${maxBytes} bytes are read`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
