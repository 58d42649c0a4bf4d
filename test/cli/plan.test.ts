import { describe, expect, test } from 'vitest';
import { allProcesses, planNetwork, registration } from '#cli/up/plan.ts';
import { nodeSchema } from '#core/contract/node.ts';

const shape = { edges: 3, midTiers: 2, port: 8080, controlPlanes: 1, origins: 1, routers: 0 };

describe('planNetwork', () => {
  test('ports follow each other: edges, mid-tiers, origin, control plane, then who watches them', () => {
    const processes = allProcesses(planNetwork(shape));
    expect(processes.map(({ name, port, adminPort }) => `${name}:${port} ${adminPort}`)).toEqual([
      'edge-oslo:8080 8087',
      'edge-rome:8081 8088',
      'edge-lisbon:8082 8089',
      'mid-tier-frankfurt:8083 8090',
      'mid-tier-london:8084 8091',
      'origin:8085 8092',
      'control-plane:8086 8093',
    ]);
  });

  test('port 0 leaves every port to the system', () => {
    const processes = allProcesses(planNetwork({ ...shape, port: 0 }));
    const ports = processes.flatMap(({ port, adminPort }) => [port, adminPort]);
    expect(new Set(ports)).toEqual(new Set([0]));
  });

  test('without an origin of its own the control plane moves up', () => {
    const plan = planNetwork({ ...shape, origins: 0 });
    expect(plan.origins).toEqual([]);
    expect(plan.controlPlanes[0]?.port).toBe(8085);
  });

  test('more nodes than cities: names stay unique and valid', () => {
    const plan = planNetwork({ ...shape, edges: 30, midTiers: 9 });
    const nodes = [...plan.edges, ...plan.midTiers];
    expect(new Set(nodes.map((node) => node.name)).size).toBe(39);
    expect(plan.edges[12]?.name).toBe('edge-oslo-2');
    expect(plan.edges[12]?.location.name).toBe('oslo');
    for (const node of nodes) expect(nodeSchema.safeParse(registration(node)).success).toBe(true);
  });

  test('no nodes at all is a control plane', () => {
    const plan = planNetwork({
      edges: 0,
      midTiers: 0,
      port: 9000,
      origins: 0,
      controlPlanes: 1,
      routers: 0,
    });
    expect(allProcesses(plan)).toEqual([{ name: 'control-plane', port: 9000, adminPort: 9001 }]);
  });

  test('routers come last, their DNS ports after all others', () => {
    const plan = planNetwork({ ...shape, routers: 2 });
    expect(plan.routers.map(({ port, adminPort, dnsPort }) => [port, adminPort, dnsPort])).toEqual([
      [8087, 8096, 8098],
      [8088, 8097, 8099],
    ]);
    expect(() => planNetwork({ ...shape, routers: 2, port: 65_517 })).toThrow('to 65536');
  });

  test('the last port must exist', () => {
    expect(planNetwork({ ...shape, port: 65_522 }).controlPlanes[0]?.adminPort).toBe(65_535);
    expect(() => planNetwork({ ...shape, port: 65_523 })).toThrow('Ports 65523 to 65536');
  });
});
