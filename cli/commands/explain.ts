import { type Command, InvalidArgumentError, Option } from 'commander';
import { connect, type ConnectionOptions, withConnection } from '../connection.ts';
import { duration } from '../duration.ts';
import { explanationText } from '../explain/text.ts';
import { print, time } from '../output.ts';
import { addExplainRoute } from './route.ts';

interface ExplainOptions extends ConnectionOptions {
  readonly header: readonly string[];
  readonly method: string;
  readonly from?: string;
  readonly client?: string;
  readonly node?: string;
  readonly sign: boolean;
  readonly for: number;
}

export function addExplain(program: Command): void {
  const explain = program.command('explain').description('why the network does what it does');
  withConnection(
    explain
      .argument('<url>', 'what would be asked for', urlOf)
      .option('-H, --header <header>', 'a request header, repeatable: "Name: value"', append, [])
      .option('-X, --method <method>', 'the request’s method', 'GET')
      .addOption(new Option('--from <location>', 'at an edge of this location').conflicts(['node']))
      .option('--client <address>', 'where the request would come from, which chooses the edge')
      .option('--node <name>', 'at this edge')
      .option(
        '--sign',
        'print a header by which edges explain ordinary requests to the site',
        false,
      )
      .option('--for <duration>', 'how long the header is good for, a day at most', duration, 600),
  ).action(async (url: string, options: ExplainOptions) => {
    const { header: headers, method, client, node, from: location, json } = options;
    const api = await connect(options);
    const request = {
      url,
      method,
      headers,
      ...(client !== undefined && { client }),
      ...(node !== undefined && { node }),
      ...(location !== undefined && { location }),
    };
    if (options.sign) {
      const signed = await api.signExplain(url, options.for);
      print(json, signed, () => `${signed.field}: ${signed.value}`);
      if (!json) console.error(`Good until ${time(signed.expiresAt)}`);
      return;
    }
    const explanation = await api.explain(request);
    print(json, explanation, () => explanationText(explanation));
  });
  addExplainRoute(explain);
}

const append = (header: string, before: readonly string[]): readonly string[] => [
  ...before,
  header,
];

function urlOf(text: string): string {
  if (/^https?:\/\//i.test(text) && URL.canParse(text)) return text;
  throw new InvalidArgumentError('Expected an http:// or https:// URL, or a command: route.');
}
