import { BlockList, isIP } from 'node:net';
import { type Fields, fieldValue, listMembers } from '#core/http/fields.ts';

/** What a connection, and those on it whom we believe, say of the client. */
export interface Client {
  readonly address: string;
  /** The scheme it used, where a trusted proxy tells. */
  readonly scheme: 'http' | 'https' | undefined;
}

/**
 * Proxies before us whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
 * @param networks addresses, or networks as `10.0.0.0/8` and `fd00::/8`
 */
export class TrustedProxies {
  readonly #networks = new BlockList();
  readonly #none: boolean;

  constructor(networks: readonly string[]) {
    this.#none = networks.length === 0;
    for (const network of networks) {
      const [address = '', prefix] = network.split('/');
      const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
      if (prefix === undefined) this.#networks.addAddress(address, family);
      else this.#networks.addSubnet(address, Number(prefix), family);
    }
  }

  has(address: string): boolean {
    if (this.#none) return false;
    const family = isIP(address);
    return family !== 0 && this.#networks.check(address, family === 6 ? 'ipv6' : 'ipv4');
  }

  /** The client as the nearest hop that is not trusted saw or was it: what lies beyond, anyone could have written. */
  client(peer: string, fields: Fields): Client {
    const peerAddress = peer.replace(IPV4_MAPPED, '');
    if (!this.has(peerAddress)) return { address: peerAddress, scheme: undefined };
    const scheme = fieldValue(fields, 'x-forwarded-proto')?.split(',').at(-1)?.trim();
    const hops = listMembers(fieldValue(fields, 'x-forwarded-for')).toReversed();
    let address = peerAddress;
    for (const hop of hops) {
      const next = addressIn(hop);
      if (next === undefined) break;
      address = next;
      if (!this.has(next)) break;
    }
    return { address, scheme: scheme === 'http' || scheme === 'https' ? scheme : undefined };
  }
}

/** How a socket for both families writes IPv4 addresses. */
export const IPV4_MAPPED = /^::ffff:(?=[\d.]+$)/i;

/** `203.0.113.7`, `203.0.113.7:1234`, `2001:db8::7` or `[2001:db8::7]:1234` without the port. */
function addressIn(hop: string): string | undefined {
  const bare = /^\[(.*)\](?::\d+)?$/.exec(hop)?.[1] ?? /^([\d.]+):\d+$/.exec(hop)?.[1] ?? hop;
  return isIP(bare) === 0 ? undefined : bare;
}
