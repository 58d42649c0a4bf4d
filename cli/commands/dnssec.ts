import type { Command } from 'commander';
import { connect, type ConnectionOptions, withConnection } from '../connection.ts';
import { print } from '../output.ts';

export function addDnssec(program: Command): void {
  const dnssec = program.command('dnssec').description('zones that are signed');
  withConnection(
    dnssec.command('ds').description('the DS records that their parent zones are to have'),
  ).action(async (options: ConnectionOptions) => {
    const zones = await (await connect(options)).delegationSigners();
    print(options.json, zones, () =>
      zones.length === 0
        ? 'No zone is signed: set "dnssec": true for one with PUT /v1/routing.'
        : zones
            .map(({ zone, keyTag, algorithm, digestType, digest }) =>
              [`${zone}.`, 'IN DS', keyTag, algorithm, digestType, digest].join(' '),
            )
            .join('\n'),
    );
  });
}
