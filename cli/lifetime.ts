import { messageOf } from '#core/errors.ts';

/** What is sent to the parent process once a child serves. */
export interface ReadyMessage {
  readonly ready: true;
  readonly url: string;
}

interface Server {
  readonly url: string;
  close(): Promise<void>;
}

/** A parent that is gone can no longer kill a child that hangs. */
const ORPHAN_LIMIT_MS = 3_000;

const nothingToClose = (): Promise<void> => Promise.resolve();

/**
 * Runs a server until SIGTERM, SIGINT or the end of the parent process, then closes it and exits.
 * A second signal exits at once.
 */
export async function runUntilStopped(start: () => Promise<Server>): Promise<void> {
  // While it starts there is nothing under way that could be finished.
  let close = nothingToClose;
  let stopping = false;

  const stop = (): void => {
    if (stopping) process.exit(130);
    stopping = true;
    close().then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(`canopy: cannot close: ${messageOf(error)}`);
        process.exit(1);
      },
    );
  };
  const orphaned = (): void => {
    setTimeout(() => process.exit(1), ORPHAN_LIMIT_MS);
    if (!stopping) stop();
  };

  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  const hasParent = process.send !== undefined;
  if (hasParent) process.on('disconnect', orphaned);
  // The parent may have ended before the listener was there.
  if (hasParent && !process.connected) process.exit(1);

  const server = await start();
  close = () => server.close();
  console.log(`serving on ${server.url}`);
  process.send?.({ ready: true, url: server.url } satisfies ReadyMessage);
}
