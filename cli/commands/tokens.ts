import type { Command } from 'commander';
import type { Token, TokenSecret } from '../api-types.ts';
import { connect, type ConnectionOptions, withConnection } from '../connection.ts';
import { duration } from '../duration.ts';
import { print, table, time } from '../output.ts';

interface CreateOptions extends ConnectionOptions {
  readonly scope: readonly string[];
  readonly site?: readonly string[];
  readonly expires?: number;
}

interface RotateOptions extends ConnectionOptions {
  readonly overlap: number;
  readonly expires?: number;
}

export function addTokens(program: Command): void {
  const tokens = program.command('tokens').description('who may use the API, and for what');

  withConnection(tokens.command('list').description('every token')).action(
    async (options: ConnectionOptions) => {
      const all = await (await connect(options)).tokens();
      print(options.json, all, () => table(HEADINGS, all.map(row)));
    },
  );

  withConnection(
    tokens
      .command('create')
      .argument('<name>')
      .description('make a token; its secret is shown this once')
      .requiredOption('--scope <scope...>', 'read, purge, publish, configure, admin')
      .option('--site <name...>', 'limit it to these sites')
      .option('--expires <duration>', 'such as 90d or 12h; without it never', duration),
  ).action(async (name: string, options: CreateOptions) => {
    const { scope, site, expires } = options;
    const made = await (
      await connect(options)
    ).createToken({
      name,
      scopes: scope,
      ...(site !== undefined && { sites: site }),
      ...(expires !== undefined && { expiresInSeconds: expires }),
    });
    print(options.json, made, () => secretLines(made));
  });

  withConnection(
    tokens
      .command('rotate')
      .argument('<name>')
      .description('give a token a new secret, shown this once')
      .option('--overlap <duration>', 'how long the old secret is taken still', duration, 3_600)
      .option('--expires <duration>', 'when it expires from now on', duration),
  ).action(async (name: string, options: RotateOptions) => {
    const { overlap, expires } = options;
    const rotated = await (
      await connect(options)
    ).rotateToken(name, {
      overlapSeconds: overlap,
      ...(expires !== undefined && { expiresInSeconds: expires }),
    });
    print(options.json, rotated, () => secretLines(rotated));
  });

  withConnection(
    tokens.command('revoke').argument('<name>').description('have a token refused from now on'),
  ).action(async (name: string, options: ConnectionOptions) => {
    await (await connect(options)).deleteToken(name);
    print(options.json, { revoked: name }, () => `${name} is revoked`);
  });
}

const HEADINGS = ['name', 'scopes', 'sites', 'expires', 'last used', 'old secret until'] as const;

const row = (token: Token): readonly string[] => [
  token.name,
  token.scopes.join(' '),
  token.sites?.join(' ') ?? 'all',
  time(token.expiresAt),
  time(token.lastUsedAt ?? null),
  time(token.previousUntil),
];

/** The secret comes first and alone on its line, for whoever reads it into a variable. */
function secretLines({ name, token, expiresAt, previousUntil }: TokenSecret): string {
  const notes = [
    'It is shown this once.',
    ...(expiresAt === null ? [] : [`It expires at ${time(expiresAt)}.`]),
    ...(previousUntil === null ? [] : [`The old secret is taken until ${time(previousUntil)}.`]),
  ];
  return `${token}\n\nThis is the secret of ${name}. ${notes.join(' ')}`;
}
