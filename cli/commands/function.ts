import { type Command, InvalidArgumentError, Option } from 'commander';
import { functionSchema } from '#core/contract/functions.ts';
import { validate } from '#core/contract/validate.ts';
import {
  functionAnswer,
  type FunctionAnswer,
  functionRequest,
  type FunctionRequest,
  readAnswerResult,
  readRequestResult,
} from '#core/functions/messages.ts';
import { type Hook, Sandbox } from '#core/functions/sandbox.ts';
import type { Fields } from '#core/http/fields.ts';
import { type ClientRequest, readRequest } from '#core/http/request.ts';
import { RequestFacts } from '#core/rules/facts.ts';
import { textOf } from '../document.ts';
import { appendField, type Field } from '../field.ts';
import { print } from '../output.ts';

interface TestOptions {
  readonly method: string;
  readonly header: readonly Field[];
  readonly client: string;
  readonly country: string;
  readonly status: number;
  readonly answerHeader: readonly Field[];
  readonly json: boolean;
}

/** What became of a call, for people and programs alike. */
interface Called {
  readonly hook: Hook;
  readonly saw: readonly unknown[];
  readonly came: unknown;
  readonly lines: readonly string[];
  readonly cpuMs: number;
}

export function addFunction(program: Command): void {
  program
    .command('function')
    .description("sites' functions")
    .command('test')
    .description('what a function does to a request, and to its answer')
    .argument('<file>', 'the module')
    .argument('<url>')
    .option('-X, --method <method>', 'of the request', 'GET')
    .option('-H, --header <field>', 'of the request, as "Name: value"', appendField, [])
    .option('--client <address>', 'of the client', '192.0.2.1')
    .option('--country <code>', 'of the client', 'ZZ')
    .addOption(
      new Option('--status <code>', 'of the answer').argParser(statusArgument).default(200),
    )
    .option('--answer-header <field>', 'of the answer, as "Name: value"', appendField, [])
    .option('--json', 'as JSON', false)
    .action(testFunction);
}

async function testFunction(file: string, url: string, options: TestOptions): Promise<void> {
  const settings = validate(functionSchema, { source: await textOf(file) }, `function ${file}`);
  const fields = ['Host', new URL(url).host, ...options.header.flat()];
  const received = { method: options.method, target: url, fields, encrypted: false };
  const request = readRequest(received);
  const sandbox = await Sandbox.open(settings);
  try {
    const calls = [...callsOf(sandbox, request, options)];
    print(options.json, calls, () => calls.map(forPeople).join('\n\n'));
  } finally {
    sandbox.close();
  }
}

function* callsOf(
  sandbox: Sandbox,
  request: ClientRequest,
  options: TestOptions,
): Generator<Called> {
  const facts = new RequestFacts(request, options.client, {
    countryOf: () => options.country,
    asnOf: () => undefined,
  });
  let asked: FunctionRequest = functionRequest(request, facts);
  if (sandbox.hooks.includes('onRequest')) {
    const { value, ...call } = timed(sandbox, 'onRequest', [asked]);
    const result = readRequestResult(value, request, asked);
    if ('status' in result) {
      yield { ...call, came: { answer: { ...shown(result), body: result.body } } };
      return;
    }
    asked = functionRequest(result, facts);
    yield { ...call, came: result === request ? 'unchanged' : { request: asked } };
  }
  if (sandbox.hooks.includes('onResponse')) {
    const fields = options.answerHeader.flat();
    const answer = functionAnswer(options.status, fields);
    const { value, ...call } = timed(sandbox, 'onResponse', [answer, asked]);
    const result = readAnswerResult(value, fields, answer);
    const came = result && { answer: { ...shown(result), body: result.body } };
    yield { ...call, came: came ?? 'unchanged' };
  }
}

const shown = ({ status, fields }: { status: number; fields: Fields }): FunctionAnswer =>
  functionAnswer(status, fields);

function timed(
  sandbox: Sandbox,
  hook: Hook,
  saw: readonly unknown[],
): Omit<Called, 'came'> & { readonly value: unknown } {
  const before = process.cpuUsage();
  const { value, lines } = sandbox.call(hook, saw);
  const { user, system } = process.cpuUsage(before);
  return { hook, saw, value, lines, cpuMs: (user + system) / 1000 };
}

function forPeople({ hook, came, lines, cpuMs }: Called): string {
  const written = lines.map((line) => `  console: ${line}`);
  const text = typeof came === 'string' ? came : JSON.stringify(came, undefined, 2);
  return [`${hook} took ${cpuMs.toFixed(1)} ms of processor time`, ...written, text].join('\n');
}

function statusArgument(text: string): number {
  const status = Number(text);
  if (Number.isInteger(status) && status >= 200 && status <= 599) return status;
  throw new InvalidArgumentError('Expected a status from 200 to 599.');
}
