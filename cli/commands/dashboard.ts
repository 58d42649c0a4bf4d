import type { Command } from 'commander';
import { addressOf, type ConnectionOptions, withConnection } from '../connection.ts';
import { print } from '../output.ts';

export function addDashboard(program: Command): void {
  withConnection(
    program
      .command('dashboard')
      .description(
        'where the dashboard is: a link that signs in, and is as good as the token in it',
      ),
  ).action(async (options: ConnectionOptions) => {
    const { url, token } = await addressOf(options);
    // A fragment is never sent: the token stays in the browser.
    const link = `${url}/dashboard/#token=${encodeURIComponent(token)}`;
    print(options.json, { url: link }, () => link);
  });
}
