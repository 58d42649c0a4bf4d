import { type Command, Option } from 'commander';
import { baseUrlSchema } from '#core/contract/names.ts';
import { validate } from '#core/contract/validate.ts';
import { CanopyError } from '#core/errors.ts';
import { ApiClient } from './api-client.ts';
import type { ControlPlaneAddress } from './api-connection.ts';
import { textOf } from './document.ts';
import { readNetworkFile } from './network-file.ts';
import { warnOfPlainHttp } from './plain-http.ts';

/** What every command that talks to the control plane takes. */
export interface ConnectionOptions {
  readonly controlPlane?: string;
  readonly controlPlaneCa?: string;
  readonly token?: string;
  readonly dir: string;
  readonly json: boolean;
}

export function withConnection(command: Command): Command {
  return command
    .addOption(
      new Option('--control-plane <url>', 'where the control plane is').env('CANOPY_CONTROL_PLANE'),
    )
    .addOption(
      new Option(
        '--control-plane-ca <file>',
        'authorities (PEM) that its certificate is checked by',
      ).env('CANOPY_CONTROL_PLANE_CA'),
    )
    .addOption(new Option('--token <token>', 'proves who you are').env('CANOPY_TOKEN'))
    .option('--dir <dir>', 'directory of `canopy up`, which knows both', '.canopy')
    .option('--json', 'print JSON', false);
}

const SOURCES = ['default', 'env', 'cli'];

/** The options of a command and of those that it is below. What was said, wherever, counts before what was not. */
export function optionsOf(command: Command): object {
  const chain: Command[] = [];
  for (let one: Command | null = command; one !== null; one = one.parent) chain.unshift(one);
  const merged: Record<string, unknown> = {};
  for (const source of SOURCES) {
    for (const one of chain) {
      for (const [name, value] of Object.entries(one.opts())) {
        if ((one.getOptionValueSource(name) ?? 'default') === source) merged[name] = value;
      }
    }
  }
  return merged;
}

export async function connect(options: ConnectionOptions): Promise<ApiClient> {
  const address = await addressOf(options);
  const { controlPlaneCa: file } = options;
  warnOfPlainHttp([address.url]);
  return new ApiClient({ ...address, ca: file === undefined ? undefined : await textOf(file) });
}

/**
 * The control plane that the options name, or that `canopy up` left in `dir`.
 * @throws CanopyError when neither tells where it is, or what to prove oneself with
 */
export async function addressOf(options: ConnectionOptions): Promise<ControlPlaneAddress> {
  const { controlPlane, token, dir } = options;
  const known =
    controlPlane === undefined || token === undefined ? await readNetworkFile(dir) : undefined;
  const given = controlPlane?.split(',')[0] ?? known?.controlPlaneUrl;
  if (given === undefined) {
    throw new CanopyError(
      'invalid-request',
      `No control plane is known: start \`canopy up\` (looked in ${dir}), or give --control-plane or CANOPY_CONTROL_PLANE`,
    );
  }
  const url = new URL(validate(baseUrlSchema, given, 'control plane URL')).origin;
  if (token !== undefined) return { url, token };
  // The token of one network is not shown to the control plane of another.
  if (known !== undefined && known.controlPlaneUrl === url) return { url, token: known.adminToken };
  throw new CanopyError(
    'unauthenticated',
    `No token for ${url} is known: give --token or CANOPY_TOKEN`,
  );
}
