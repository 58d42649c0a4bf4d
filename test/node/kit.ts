import { onTestFinished } from 'vitest';
import type { Config, JournalEvent } from '#core/contract/event.ts';
import type { PurgeReport } from '#core/contract/report.ts';
import { NodeLink, type NodeLinkOptions } from '#core/node/link.ts';
import type { CheckSite } from '#core/node/told-sites.ts';
import { eventually, LOAD, silent } from '#test/control-plane/kit.ts';
import type { FakeClock } from '#test/scenario/kit/clock.ts';

interface Applied {
  readonly sequence: number;
  readonly event: JournalEvent | undefined;
  readonly reset: boolean;
  readonly config: Config;
}

export interface LinkOptions {
  readonly urls: readonly string[];
  readonly credential: string;
  readonly dir: string;
  readonly clock: FakeClock;
  /** What the node does with a configuration before it counts as applied. */
  readonly apply?: (event: JournalEvent | undefined) => Promise<void>;
  readonly answer?: NodeLinkOptions['answer'];
}

/** A link whose node reports one object of 10 bytes for each purge. */
export class TestLink {
  readonly applied: Applied[] = [];
  /** Whether the node can serve by a site. */
  checkSite: CheckSite = () => undefined;
  readonly link: NodeLink;

  constructor({ urls, credential, dir, clock, apply, answer }: LinkOptions) {
    this.link = new NodeLink({
      controlPlaneUrls: urls,
      credential,
      dir,
      clock,
      log: silent,
      load: () => LOAD,
      checkSite: (site) => this.checkSite(site),
      ...(answer !== undefined && { answer }),
      onConfig: async (config, event, reset): Promise<PurgeReport | undefined> => {
        await apply?.(event);
        this.applied.push({ sequence: config.sequence, event, reset, config });
        if (event?.type !== 'purge') return undefined;
        return { sequence: event.sequence, objects: 1, bytes: 10, fills: 0 };
      },
    });
    onTestFinished(() => this.link.stop());
  }

  /** What was applied: the sequence, with `snapshot` or the event's type. */
  get log(): string[] {
    return this.applied.map(({ sequence, event }) => `${sequence} ${event?.type ?? 'snapshot'}`);
  }
}

/** Lets the clock run in small steps until `check` passes: for what waits for a timer, such as a retry. */
export function whileTimePasses<T>(clock: FakeClock, check: () => T | Promise<T>): Promise<T> {
  return eventually(() => {
    clock.advance('50ms');
    return check();
  });
}
