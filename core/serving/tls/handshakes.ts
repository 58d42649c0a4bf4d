import type { TLSSocket } from 'node:tls';
import type { Samples } from '#core/telemetry/samples.ts';

const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;

const VERSION_OF = new WeakMap<object, string>();

/** `TLSv1.3`; `undefined` of a connection without TLS. */
export const tlsVersionOf = (socket: object): string | undefined => VERSION_OF.get(socket);

/** Handshakes of one thread since it started. */
export class Handshakes {
  failed = 0;
  /** By version, those of new sessions before those resumed. */
  readonly #done = new Float64Array(2 * VERSIONS.length);

  done(socket: TLSSocket): void {
    // No other version is spoken, see TLS_SETTINGS.
    const version = socket.getProtocol() === 'TLSv1.2' ? 'TLSv1.2' : 'TLSv1.3';
    VERSION_OF.set(socket, version);
    const at = 2 * VERSIONS.indexOf(version) + (socket.isSessionReused() ? 1 : 0);
    this.#done[at] = (this.#done[at] ?? 0) + 1;
  }

  sample(samples: Samples): void {
    for (const [i, version] of VERSIONS.entries()) {
      const [fresh = 0, resumed = 0] = this.#done.subarray(2 * i, 2 * i + 2);
      samples.add('canopy_tls_handshakes_total', fresh, version, 'no');
      samples.add('canopy_tls_handshakes_total', resumed, version, 'yes');
    }
    samples.add('canopy_tls_handshake_failures_total', this.failed);
  }
}
