import { createParser } from 'eventsource-parser';
import { type Dispatcher, request } from 'undici';
import type { Clock } from '#core/clock.ts';
import { CONTRACT, CONTRACT_FIELD, requireControlPlaneContract } from '#core/contract/version.ts';
import { CanopyError } from '#core/errors.ts';
import { refusal } from './control-plane-client.ts';

/** The control plane says something every 2 s; a stream silent for so long is dead, whatever TCP believes. */
const SILENCE_MS = 6_000;

/** Characters of one event that the node is willing to hold; a snapshot is the largest. */
const LONGEST_EVENT = 256 * 1024 * 1024;

/** The field in which the control plane says how far the journal went when the stream was opened. */
export const JOURNAL_SEQUENCE_FIELD = 'canopy-journal-sequence';

/** The field in which a node says which journal its place belongs to. */
export const JOURNAL_FIELD = 'canopy-journal';

/** A later control plane may say more, which means nothing here. */
const KINDS = ['snapshot', 'event', 'question'] as const;

export type StreamMessage =
  /** The control plane took the stream; `sequence` is the journal's last at that moment. */
  | { readonly kind: 'open'; readonly sequence: number }
  /** `text` is the JSON of a Config, of a JournalEvent, or of a Question. */
  | { readonly kind: (typeof KINDS)[number]; readonly text: string };

export interface StreamOptions {
  readonly url: URL;
  readonly authorization: string;
  /** Events of this journal after this sequence; without it a snapshot comes first. */
  readonly after: { readonly journal: string; readonly sequence: number } | undefined;
  readonly dispatcher: Dispatcher;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * One connection to the journal. Ends when the control plane ends it, throws when it is refused, cut,
 * silent for too long, or aborted; an event of which only a part arrived is not yielded.
 */
export async function* readJournalStream(options: StreamOptions): AsyncGenerator<StreamMessage> {
  const { url, authorization, after, dispatcher, clock } = options;
  const dead = new AbortController();
  const signal = AbortSignal.any([options.signal, dead.signal]);
  /** Counts silence only while we listen, not while the node applies what it was told. */
  const listen = async <T>(heard: Promise<T>): Promise<T> => {
    const cancel = clock.after(SILENCE_MS, () =>
      dead.abort(
        new CanopyError('upstream-timeout', `${url.origin} was silent for ${SILENCE_MS} ms`),
      ),
    );
    return heard.finally(cancel);
  };

  const answer = await listen(
    request(url, {
      dispatcher,
      signal,
      bodyTimeout: 0,
      headers: {
        authorization,
        accept: 'text/event-stream',
        [CONTRACT_FIELD]: String(CONTRACT),
        ...(after !== undefined && {
          [JOURNAL_FIELD]: after.journal,
          'last-event-id': String(after.sequence),
        }),
      },
    }),
  );
  if (answer.statusCode !== 200) {
    throw refusal(url, answer.statusCode, await listen(answer.body.text()));
  }
  try {
    requireControlPlaneContract(url.origin, answer.headers[CONTRACT_FIELD]);
  } catch (error) {
    answer.body.destroy();
    throw error;
  }
  yield { kind: 'open', sequence: Number(answer.headers[JOURNAL_SEQUENCE_FIELD] ?? 0) };

  const messages: StreamMessage[] = [];
  const parser = createParser({
    maxBufferSize: LONGEST_EVENT,
    onEvent: ({ event, data }) => {
      const kind = KINDS.find((name) => name === event);
      if (kind !== undefined) messages.push({ kind, text: data });
    },
  });
  const decoder = new TextDecoder();
  const chunks = answer.body[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  try {
    for (;;) {
      const chunk = await listen(chunks.next());
      if (chunk.done === true) return;
      parser.feed(decoder.decode(chunk.value, { stream: true }));
      yield* messages.splice(0);
    }
  } finally {
    answer.body.destroy();
  }
}
