import { finished, PassThrough, Readable } from 'node:stream';
import { Agent, type Dispatcher, request as send } from 'undici';
import { z } from 'zod';
import type { Clock } from '#core/clock.ts';
import type { Node } from '#core/contract/node.ts';
import { validate } from '#core/contract/validate.ts';
import { CanopyError, ERRORS, type ErrorCode, messageOf } from '#core/errors.ts';
import { TIER_FIELDS } from '#core/tree/tier-fields.ts';
import type { Journal } from './journal/journal.ts';
import type { NodeLeases } from './journal/leases.ts';

/** How long one piece of content may take to move; a whole upload takes as long as it takes. */
const IDLE_TIMEOUT_MS = 60_000;

/** What an origin node is asked. */
export interface OriginRequest {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Readable | undefined;
}

export type OriginAnswer = Dispatcher.ResponseData;

export interface OriginsOptions {
  readonly journal: Journal;
  readonly leases: NodeLeases;
  readonly clock: Clock;
}

const problemSchema = z.looseObject({ code: z.string(), detail: z.string() });

/** The origin nodes, as those who publish and read content ask them. */
export class Origins {
  readonly #options: OriginsOptions;
  readonly #agent = new Agent({
    connect: { timeout: 2_000 },
    headersTimeout: 0,
    bodyTimeout: IDLE_TIMEOUT_MS,
  });
  #lastWriteMs = 0;

  constructor(options: OriginsOptions) {
    this.#options = options;
  }

  /** The first origin node that can be reached and does not fail. */
  async read(asked: OriginRequest): Promise<OriginAnswer> {
    let failure: unknown = noOrigin();
    let failed: OriginAnswer | undefined;
    for (const { url } of this.#nodes) {
      try {
        const answer = await this.#ask(url, asked);
        await failed?.body.dump();
        if (answer.statusCode < 500) return answer;
        failed = answer;
      } catch (error) {
        failure = error;
      }
    }
    if (failed !== undefined) return failed;
    throw failure;
  }

  /** What each origin node in service answers to the same, or why it gave no answer. */
  async write({
    body,
    headers = {},
    ...asked
  }: OriginRequest): Promise<readonly (OriginAnswer | CanopyError)[]> {
    const origins = await this.#inService();
    if (origins.length === 0) throw noOrigin();
    const written = {
      ...asked,
      headers: { ...headers, [TIER_FIELDS.writtenAt]: this.#writtenAt() },
    };
    const bodies = body === undefined ? [] : share(body, origins.length);
    const answers = await Promise.all(
      origins.map(({ url }, i) =>
        this.#ask(url, { ...written, body: bodies[i] }).catch((failure: CanopyError) => failure),
      ),
    );
    // After an early refusal the client may still be sending.
    body?.resume();
    return answers;
  }

  /**
   * Has every origin node in service do the same.
   * @param json sent as such, but for a text, which is sent as it is
   * @returns what each answers
   * @throws CanopyError the first refusal
   */
  async all<T extends z.ZodType>(
    schema: T,
    method: string,
    target: string,
    json?: unknown,
  ): Promise<readonly z.output<T>[]> {
    const text = typeof json === 'string' ? json : JSON.stringify(json);
    const body = json === undefined ? undefined : Readable.from([Buffer.from(text)]);
    const answers = await this.write({ method, target, body });
    const texts = await Promise.all(
      answers.map(async (answer) =>
        answer instanceof CanopyError ? answer : { ...answer, text: await answer.body.text() },
      ),
    );
    return texts.map((answer) => {
      if (answer instanceof CanopyError) throw answer;
      if (answer.statusCode >= 300) throw refusalOf(answer.statusCode, answer.text);
      const value: unknown = answer.text === '' ? undefined : JSON.parse(answer.text);
      return validate(schema, value, 'answer of an origin');
    });
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  get #nodes(): readonly Node[] {
    return this.#options.journal.config.nodes.filter(({ tier }) => tier === 'origin');
  }

  /** An origin out of service takes over what it missed before it serves again. */
  async #inService(): Promise<readonly Node[]> {
    const { nodes } = await this.#options.leases.survey();
    const inService = new Set(
      nodes.filter(({ remainingMs }) => remainingMs > 0).map(({ node }) => node),
    );
    const serving = this.#nodes.filter(({ name }) => inService.has(name));
    return serving.length > 0 ? serving : this.#nodes;
  }

  /** The same for all replicas, and later than any before. */
  #writtenAt(): string {
    this.#lastWriteMs = Math.max(this.#lastWriteMs + 1, this.#options.clock.now());
    return String(this.#lastWriteMs);
  }

  async #ask(
    origin: string,
    { method, target, headers, body }: OriginRequest,
  ): Promise<OriginAnswer> {
    const { publishKey = '' } = this.#options.journal.config.network;
    try {
      return await send(new URL(target, origin), {
        dispatcher: this.#agent,
        method,
        headers: { ...headers, authorization: `Bearer ${publishKey}` },
        body: body ?? null,
      });
    } catch (cause) {
      throw new CanopyError(
        'upstream-unreachable',
        `The origin at ${origin} failed: ${messageOf(cause)}`,
        { cause },
      );
    }
  }
}

/** The first refusal, or that one gave no answer, or what all agree on. */
export async function worstOf(
  outcomes: readonly (OriginAnswer | CanopyError)[],
): Promise<OriginAnswer> {
  const isFailure = (outcome: OriginAnswer | CanopyError) => outcome instanceof CanopyError;
  const failure = outcomes.find(isFailure);
  const answers = outcomes.flatMap((outcome) => (isFailure(outcome) ? [] : [outcome]));
  const refusal = answers.find(({ statusCode }) => statusCode >= 300);
  const chosen = refusal ?? (failure === undefined ? answers[0] : undefined);
  const unused = answers.filter((answer) => answer !== chosen);
  await Promise.all(unused.map(({ body }) => body.dump()));
  if (chosen === undefined) throw failure ?? noOrigin();
  return chosen;
}

/** One stream for each of `count` readers, at the pace of the slowest; a cut upload is cut for all. */
function share(body: Readable, count: number): Readable[] {
  const shares = Array.from({ length: count }, () => body.pipe(new PassThrough()));
  finished(body, (error) => {
    if (error) for (const one of shares) one.destroy(error);
  });
  // undici destroys a share whose origin failed, and says so; the others go on.
  for (const one of shares) one.on('error', () => undefined);
  return shares;
}

function refusalOf(status: number, text: string): CanopyError {
  const read = (): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      return undefined;
    }
  };
  const { code, detail } = problemSchema.safeParse(read()).data ?? {};
  return code !== undefined && isErrorCode(code)
    ? new CanopyError(code, detail ?? '')
    : new CanopyError('upstream-invalid', `An origin answered ${status}`);
}

const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(ERRORS, code);

const noOrigin = (): CanopyError =>
  new CanopyError('unavailable', 'The network has no origin node to keep content');
