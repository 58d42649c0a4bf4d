import type { JournalEvent } from '#core/contract/event.ts';
import { isNotice } from '#core/node/config.ts';
import type { ListenerOptions } from '../listener.ts';
import type { TierNode } from '../tier-node.ts';
import { TlsContexts } from './contexts.ts';
import { Handshakes } from './handshakes.ts';
import { type ClientAuthorities, listenTls, type TlsListener } from './listener.ts';
import type { TlsPlace } from './messages.ts';

/** TLS in one serving thread. */
export class ThreadTls {
  readonly #node: TierNode;
  readonly #contexts: TlsContexts;
  readonly handshakes = new Handshakes();
  #listener: TlsListener | undefined;

  constructor({ port, unknownName }: TlsPlace, node: TierNode, onError: (error: unknown) => void) {
    this.#node = node;
    this.#contexts = new TlsContexts({
      port,
      unknownName,
      onError,
      siteOf: (host) => node.sites.byHost(host)?.name,
      monotonicMs: () => node.clock.monotonicMs(),
    });
  }

  async listen(options: ListenerOptions): Promise<TlsListener> {
    const listener = await listenTls({
      ...options,
      contexts: this.#contexts,
      clock: this.#node.clock,
      handshakes: this.handshakes,
    });
    this.#listener = listener;
    this.#node.tlsPort = listener.port;
    this.#askClients();
    return listener;
  }

  /** The node has heeded an event, or a whole configuration. */
  heed(event: JournalEvent | undefined): void {
    if (event?.type === 'purge' || isNotice(event)) return;
    this.#contexts.heed(this.#node.config.certificates);
    if (event?.type !== 'certificate.put' && event?.type !== 'certificate.delete') {
      this.#askClients();
    }
  }

  close(): void {
    this.#contexts.close();
  }

  #askClients(): void {
    const { sites } = this.#node;
    const asks = sites.sites.some(({ tls }) => tls.clientAuthorities !== null);
    this.#listener?.askClients(asks ? (host) => authoritiesOf(this.#node, host) : undefined);
  }
}

function authoritiesOf({ sites }: TierNode, host: string): ClientAuthorities | undefined {
  const site = sites.byHost(host);
  const authorities = site?.tls.clientAuthorities ?? null;
  return site === undefined || authorities === null ? undefined : { site: site.name, authorities };
}
