import { constants, hkdfSync } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';

/**
 * What is agreed upon with clients: Mozilla's intermediate profile without finite-field
 * Diffie-Hellman, which no browser of the profile needs.
 */
export const TLS_SETTINGS = {
  minVersion: 'TLSv1.2',
  ciphers: [
    'TLS_AES_128_GCM_SHA256',
    'TLS_AES_256_GCM_SHA384',
    'TLS_CHACHA20_POLY1305_SHA256',
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-RSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-RSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
    'ECDHE-RSA-CHACHA20-POLY1305',
  ].join(':'),
  honorCipherOrder: true,
  // A handshake is the dearest thing that a client can ask for.
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_CIPHER_SERVER_PREFERENCE,
} as const satisfies SecureContextOptions;

/** Most preferred first (RFC 7301). */
export const PROTOCOLS = ['h2', 'http/1.1'];

/** Of those whose tickets are good for one another; by default node makes it of the command line. */
export const SESSION_ID_CONTEXT = 'canopy';

const TICKET_KEY_BYTES = 48;

/**
 * What tickets are sealed with where `context` is served: tickets of one context say nothing in another.
 * @param secret of the whole fleet
 */
export const ticketKeysFor = (secret: string, context: string): Buffer =>
  Buffer.from(
    hkdfSync('sha256', secret, '', `canopy session tickets of ${context}`, TICKET_KEY_BYTES),
  );
