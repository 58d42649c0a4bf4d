import { once } from 'node:events';
import { createServer } from 'node:net';
import { CanopyError, messageOf } from '#core/errors.ts';
import type { PlannedEdge, PlannedProcess } from './plan.ts';

/**
 * Makes sure that every planned port can be had. Edges share theirs between threads, and so
 * would silently share it with a stranger too; this asks for it exclusively.
 * @throws CanopyError `conflict` naming the port and who needs it
 */
export async function requireFreePorts(
  processes: readonly (PlannedProcess & Pick<PlannedEdge, 'tlsPort'>)[],
): Promise<void> {
  const wanted = processes.flatMap(({ name, port, adminPort, tlsPort = 0 }) => [
    { name, port },
    { name: `${name}'s metrics`, port: adminPort },
    { name: `${name}'s TLS`, port: tlsPort },
  ]);
  for (const { name, port } of wanted) {
    if (port === 0) continue;
    const server = createServer();
    try {
      server.listen({ host: '127.0.0.1', port, exclusive: true });
      await once(server, 'listening');
    } catch (cause) {
      const inUse = cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE';
      const reason = inUse ? 'is in use' : `cannot be had: ${messageOf(cause)}`;
      throw new CanopyError(
        'conflict',
        `Port ${port} (for ${name}) ${reason}; choose another first port with --port`,
        { cause },
      );
    }
    server.close();
    await once(server, 'close');
  }
}
