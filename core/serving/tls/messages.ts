import type { MessagePort } from 'node:worker_threads';
import type { CertificateEntry, CertificateMaterial } from '#core/contract/certificate.ts';

/** Which certificate, and which of those that had its name. */
export type WantedCertificate = Pick<CertificateEntry, 'name' | 'fingerprint'>;

/** From a serving thread to the main thread: all answered with `certificate`. */
export type ToKeeper = { readonly type: 'want'; readonly wanted: WantedCertificate };

/** From the main thread to a serving thread. */
export type FromKeeper =
  | {
      readonly type: 'certificate';
      readonly wanted: WantedCertificate;
      /** The one before, where the one wanted is not to be had; `undefined`: none at all. */
      readonly material: CertificateMaterial | undefined;
    }
  /** What tickets are sealed with from now on. */
  | { readonly type: 'ticket-secret'; readonly secret: string }
  /** An authority's word that a certificate was not revoked (RFC 6960), in DER; `undefined`: none that holds. */
  | {
      readonly type: 'staple';
      readonly fingerprint: string;
      readonly response: Uint8Array | undefined;
    };

/** What to do with a client that asks for a name that no certificate covers. */
export const UNKNOWN_NAME_POLICIES = ['default', 'refuse'] as const;

export type UnknownNamePolicy = (typeof UNKNOWN_NAME_POLICIES)[number];

/** What a thread that serves TLS is started with. */
export interface TlsPlace {
  readonly port: MessagePort;
  readonly unknownName: UnknownNamePolicy;
}
