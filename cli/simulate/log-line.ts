/** What a line of an access log tells of one request. */
export interface LoggedRequest {
  readonly key: string;
  /** Bytes of content that were sent. */
  readonly bytes: number;
}

/** `skipped`: a request that no cache could have answered, such as a POST or an error. */
export type LogLine = LoggedRequest | 'skipped' | 'unreadable';

/** Common Log Format; Combined has the same beginning. */
const COMMON = /^\S+ \S+ \S+ \[[^\]]*\] "([^\s"]+) ([^\s"]+)[^"]*" (\d{3}) (\d+|-)(?= |$)/;
const CSV_HEADING = 'time,key,size';

/** Reads a line of any format that `canopy simulate` knows: told apart by how it begins. */
export function readLogLine(line: string): LogLine {
  if (line === '' || line === CSV_HEADING) return 'skipped';
  if (line.startsWith('{')) return jsonLine(line);
  const common = COMMON.exec(line);
  return common === null ? csvLine(line) : commonLine(common);
}

type Parsed = Readonly<Record<string, unknown>>;

function jsonLine(line: string): LogLine {
  try {
    const parsed = JSON.parse(line) as Parsed;
    if (typeof parsed['target'] === 'string') return ownLine(parsed, parsed['target']);
    const { key, size } = parsed;
    return typeof key === 'string' ? requestOf(key, Number(size)) : 'unreadable';
  } catch {
    return 'unreadable';
  }
}

/** A line of a node's own access log, see docs/logging.md. */
function ownLine({ method, status, host, bytesSent }: Parsed, target: string): LogLine {
  const isAnswer = isReplayed(String(method), String(status));
  return isAnswer ? requestOf(`${String(host)}${target}`, Number(bytesSent)) : 'skipped';
}

const isReplayed = (method: string | undefined, status: string | undefined): boolean =>
  method === 'GET' && /^(?:2..|304)$/.test(status ?? '');

function commonLine([, method, target = '', status, sent = '-']: readonly string[]): LogLine {
  if (!isReplayed(method, status)) return 'skipped';
  return requestOf(target, sent === '-' ? 0 : Number(sent));
}

/** A key may have commas itself. */
function csvLine(line: string): LogLine {
  const first = line.indexOf(',');
  const last = line.lastIndexOf(',');
  const size = line.slice(last + 1).trim();
  if (first === last || !/^\d+$/.test(size)) return 'unreadable';
  return requestOf(line.slice(first + 1, last).trim(), Number(size));
}

const requestOf = (key: string, bytes: number): LogLine =>
  key !== '' && Number.isSafeInteger(bytes) && bytes >= 0 ? { key, bytes } : 'unreadable';
