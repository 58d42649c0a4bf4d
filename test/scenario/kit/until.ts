import { setImmediate } from 'node:timers/promises';

/** Lets the event loop turn until `holds`; what never does ends at the test's limit. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await setImmediate();
}
