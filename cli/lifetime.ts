import { messageOf } from '#core/errors.ts';
import { EXIT } from './exit-codes.ts';
import { outliveReader } from './reader.ts';

/** What is sent to the parent process once a child serves. */
export interface ReadyMessage {
  readonly ready: true;
  readonly url: string;
  readonly adminUrl: string;
  /** Of an edge that serves TLS. */
  readonly tlsUrl?: string | undefined;
  /** Of a router: the first address that it serves DNS on. */
  readonly dns?: Address | undefined;
}

interface Address {
  readonly host: string;
  readonly port: number;
}

export interface Server {
  readonly url: string;
  readonly adminUrl: string;
  readonly tlsUrl?: string;
  readonly dns?: readonly Address[];
  close(): Promise<void>;
}

/** A parent that is gone can no longer kill a child that hangs. */
const ORPHAN_LIMIT_MS = 3_000;

const nothingToClose = (): Promise<void> => Promise.resolve();

/** Signals that come together are one: a process group and a parent may both pass on the same. */
const ONE_REQUEST_MS = 100;

/**
 * Calls `first` at SIGINT, SIGTERM or the end of the parent process, and `again` at each later one.
 * A parent that is gone asks only once.
 */
export function onStop({ first, again }: { first: () => void; again: () => void }): void {
  let askedAtMs: number | undefined;
  const stop = (): void => {
    const now = performance.now();
    if (askedAtMs === undefined) {
      askedAtMs = now;
      first();
    } else if (now - askedAtMs > ONE_REQUEST_MS) again();
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  if (process.send === undefined) return;
  process.on('disconnect', () => {
    if (askedAtMs === undefined) stop();
  });
  // The parent may have ended before the listener was there.
  if (!process.connected) process.exit(EXIT.failed);
}

/**
 * Runs a server until SIGTERM, SIGINT or the end of the parent process, then closes it and exits.
 * A second signal exits at once.
 * @param say tells people where it serves
 */
export async function runUntilStopped(
  start: () => Promise<Server>,
  say: (text: string) => void = console.log,
): Promise<void> {
  outliveReader();
  // While it starts there is nothing under way that could be finished.
  let close = nothingToClose;
  const stop = (): void => {
    close().then(
      () => process.exit(EXIT.done),
      (error: unknown) => {
        console.error(`canopy: cannot close: ${messageOf(error)}`);
        process.exit(EXIT.failed);
      },
    );
  };
  onStop({ first: stop, again: () => process.exit(EXIT.interrupted) });
  if (process.send !== undefined) {
    process.on('disconnect', () => setTimeout(() => process.exit(EXIT.failed), ORPHAN_LIMIT_MS));
  }

  const server = await start();
  close = () => server.close();
  const { url, adminUrl, tlsUrl } = server;
  say(`serving on ${url}\nadmin on ${adminUrl}`);
  if (tlsUrl !== undefined) say(`TLS on ${tlsUrl}`);
  const { dns = [] } = server;
  for (const { host, port } of dns) say(`DNS on ${host} port ${port}`);
  process.send?.({ ready: true, url, adminUrl, tlsUrl, dns: dns[0] } satisfies ReadyMessage);
}
