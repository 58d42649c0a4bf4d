import { bitAt } from '#control-plane/routing/engine/prefix.ts';
import { prefix } from './kit.ts';

// Writes databases in MaxMind's format (version 2.0 of its specification), small ones for tests.

export type Value =
  string | number | Date | Short | readonly Value[] | { readonly [key: string]: Value };

/** An integer of 16 bits, where other readers insist on one. */
class Short {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

interface TreeNode {
  readonly children: [TreeNode | undefined, TreeNode | undefined];
  value?: Value;
}

const IPV4_IN_IPV6 = 96;

/**
 * @param networks what is known, by network such as `192.0.2.0/24`
 * @param type of the database; other readers go by it
 */
export function mmdb(networks: Readonly<Record<string, Value>>, type = 'Canopy-Test'): Buffer {
  const root: TreeNode = { children: [undefined, undefined] };
  for (const [text, value] of Object.entries(networks)) {
    const { family, bytes, length } = prefix(text);
    const padded = family === 6 ? bytes : Uint8Array.of(...Array<number>(12).fill(0), ...bytes);
    let at = root;
    for (let i = 0; i < (family === 6 ? length : length + IPV4_IN_IPV6); i++) {
      at = at.children[bitAt(padded, i)] ??= { children: [undefined, undefined] };
    }
    at.value = value;
  }
  const nodes: TreeNode[] = [];
  const collect = (node: TreeNode): void => {
    nodes.push(node);
    for (const child of node.children) if (child !== undefined && isInner(child)) collect(child);
  };
  collect(root);
  const numbers = new Map(nodes.map((node, number) => [node, number]));

  const tree = Buffer.alloc(nodes.length * 8);
  const data: Buffer[] = [];
  let dataLength = 0;
  for (const [i, node] of nodes.entries()) {
    for (const [side, child] of node.children.entries()) {
      let record = nodes.length;
      const value = child?.value;
      if (child !== undefined && isInner(child)) record = numbers.get(child) ?? 0;
      else if (value !== undefined) {
        record = nodes.length + 16 + dataLength;
        const encoded = encode(value);
        data.push(encoded);
        dataLength += encoded.length;
      }
      tree.writeUInt32BE(record, i * 8 + side * 4);
    }
  }
  const metadata = encode({
    binary_format_major_version: new Short(2),
    binary_format_minor_version: new Short(0),
    build_epoch: new Date(Date.UTC(2026)),
    database_type: type,
    description: { en: 'A database of a test' },
    ip_version: new Short(6),
    languages: ['en'],
    node_count: nodes.length,
    record_size: new Short(32),
  });
  const marker = Buffer.from('abcdef4d61784d696e642e636f6d', 'hex');
  return Buffer.concat([tree, Buffer.alloc(16), ...data, marker, metadata]);
}

/** What lies below a network with a value would hide it; tests have no such. */
const isInner = ({ children: [zero, one] }: TreeNode): boolean =>
  zero !== undefined || one !== undefined;

function encode(value: Value): Buffer {
  if (typeof value === 'string') {
    const text = Buffer.from(value);
    return Buffer.concat([control(2, text.length), text]);
  }
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0) {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return Buffer.concat([control(6, 4), bytes]);
  }
  if (value instanceof Short) {
    const bytes = Buffer.alloc(2);
    bytes.writeUInt16BE(value.value);
    return Buffer.concat([control(5, 2), bytes]);
  }
  if (typeof value === 'number') {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleBE(value);
    return Buffer.concat([control(3, 8), bytes]);
  }
  if (value instanceof Date) {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(BigInt(value.getTime() / 1000));
    return Buffer.concat([control(9, 8), bytes]);
  }
  if (Array.isArray(value)) {
    return Buffer.concat([control(11, value.length), ...value.map((one: Value) => encode(one))]);
  }
  const entries = Object.entries(value);
  return Buffer.concat([
    control(7, entries.length),
    ...entries.flatMap(([key, one]: [string, Value]) => [encode(key), encode(one)]),
  ]);
}

function control(type: number, size: number): Buffer {
  const [shown, more] = size < 29 ? [size, []] : [29, [size - 29]];
  const head = type <= 7 ? [(type << 5) | shown] : [shown, type - 7];
  return Buffer.from([...head, ...more]);
}
