/** The braces make all keys of a network share one slot of a cluster, so that scripts can take them together. */
const TAG = '{canopy}';

/**
 * What is kept where. Names are those of the scripts' variables, too.
 * - `journal` stream, entry `SEQUENCE-0`: `by` (who wrote it), `event`
 * - `head` hash: `version`, `journal`, `sequence`, `network`, `canary`, `completed` (fence), `grants` (how many so far)
 * - `sites`, `nodes` hashes by name
 * - `credentials` hash, digest to node; `credential_of` hash, node to digest
 * - `tokens` hash by digest; `token_of` hash, name to digest; `previous_tokens` hash, digest of a secret that was replaced to name
 * - `purges` hash by id; `purge_order`, `pending` sorted sets of ids by sequence
 * - `requests` hash, key of a request to the purge's id; `request_of` hash, purge to key
 * - `releases` hash, site to the one that it was last switched to
 * - `bans` hash by sequence; `certificates` hash by name
 * - `fences`, `grants` (`ID:LEASE_MS`), `tiers`, `heartbeats` hashes by node
 * - `records`, `revisions` hashes by `KIND ID`; `record_order` sorted set of the same by their bytes
 * - `news` stream of one entry, which wakes the other control planes
 */
export const KEY_NAMES = [
  'journal',
  'head',
  'sites',
  'nodes',
  'credentials',
  'credential_of',
  'tokens',
  'token_of',
  'previous_tokens',
  'purges',
  'purge_order',
  'pending',
  'requests',
  'request_of',
  'bans',
  'releases',
  'certificates',
  'fences',
  'grants',
  'tiers',
  'heartbeats',
  'records',
  'revisions',
  'record_order',
  'news',
] as const;

export type KeyName = (typeof KEY_NAMES)[number];

export const keyOf = (name: KeyName): string => `${TAG}:${name}`;

/** What nodes report of one purge: hash, `NODE SEQUENCE` to counts. */
export const reportsKey = (purgeId: string): string => `${TAG}:reports:${purgeId}`;

const KEYS = KEY_NAMES.map(keyOf);
const PRELUDE = `local ${KEY_NAMES.join(', ')} = unpack(KEYS)\n`;

/** A script that is carried out as one step. Its keys are there by name, its arguments as ARGV. */
export interface Script {
  readonly lua: string;
}

const script = (lua: string): Script => ({ lua: PRELUDE + lua });

/** What every EVAL of a script is given before its arguments. */
export const scriptArguments = ({ lua }: Script): [string, number, ...string[]] => [
  lua,
  KEYS.length,
  ...KEYS,
];

const TELL = `redis.call('XADD', news, 'MAXLEN', 1, '*', 'of', 'state')`;

/** ARGV: first sequence, the one before it, who writes, id of a new purge or '', key of its request or '', then commands: length, name, number of the key, arguments. */
export const APPEND = script(`
  local written = redis.call('XRANGE', journal, ARGV[1] .. '-0', ARGV[1] .. '-0')[1]
  if written and written[2][2] == ARGV[3] then return 1 end
  if (redis.call('HGET', head, 'sequence') or '0') ~= ARGV[2] then return 0 end
  if redis.call('HEXISTS', purges, ARGV[4]) == 1 then return redis.error_reply('ERR purge ' .. ARGV[4] .. ' exists') end
  if redis.call('HEXISTS', requests, ARGV[5]) == 1 then return redis.error_reply('ERR request ' .. ARGV[5] .. ' was made before') end
  local i = 6
  while i <= #ARGV do
    local n = tonumber(ARGV[i])
    redis.call(ARGV[i + 1], KEYS[tonumber(ARGV[i + 2])], unpack(ARGV, i + 3, i + n))
    i = i + n + 1
  end
  ${TELL}
  return 1
`);

/** ARGV: the journal's id, its new id, new sequence. */
export const RENEW = script(`
  if redis.call('HGET', head, 'journal') ~= ARGV[1] then return 0 end
  redis.call('HSET', head, 'journal', ARGV[2], 'sequence', ARGV[3])
  redis.call('DEL', journal)
  ${TELL}
  return 1
`);

/** ARGV: the last sequence to be forgotten, the one after it. */
export const TRIM = script(`
  redis.call('XTRIM', journal, 'MINID', ARGV[2] .. '-0')
  local completed = tonumber(redis.call('HGET', head, 'completed') or '0')
  local old = redis.call('ZRANGEBYSCORE', purge_order, '-inf', ARGV[1], 'WITHSCORES')
  for i = 1, #old, 2 do
    if tonumber(old[i + 1]) < completed and not redis.call('ZSCORE', pending, old[i]) then
      redis.call('HDEL', purges, old[i])
      redis.call('ZREM', purge_order, old[i])
      redis.call('HDEL', requests, redis.call('HGET', request_of, old[i]) or '')
      redis.call('HDEL', request_of, old[i])
    end
  end
`);

/** ARGV: id, sequence, status, purge. */
export const UPDATE_PURGE = script(`
  if redis.call('HEXISTS', purges, ARGV[1]) == 0 then return 0 end
  redis.call('HSET', purges, ARGV[1], ARGV[4])
  if ARGV[3] == 'pending' then
    redis.call('ZADD', pending, ARGV[2], ARGV[1])
  else
    redis.call('ZREM', pending, ARGV[1])
    local completed = tonumber(redis.call('HGET', head, 'completed') or '0')
    if tonumber(ARGV[2]) > completed then redis.call('HSET', head, 'completed', ARGV[2]) end
  end
  ${TELL}
  return 1
`);

/** ARGV: name, digest, token. A digest that is there already is from the same call, made again. */
export const ADD_TOKEN = script(`
  local known = redis.call('HGET', token_of, ARGV[1])
  if known then return known == ARGV[2] and 1 or 0 end
  redis.call('HSET', token_of, ARGV[1], ARGV[2])
  redis.call('HSET', tokens, ARGV[2], ARGV[3])
  return 1
`);

/** Forgets the secret that ARGV[1] had before. */
const FORGET_PREVIOUS = `
  local old = redis.call('HGETALL', previous_tokens)
  for i = 1, #old, 2 do if old[i + 1] == ARGV[1] then redis.call('HDEL', previous_tokens, old[i]) end end
`;

/** ARGV: name, the digest it must have, its new digest, token, the digest of the secret that is replaced or ''. */
export const REPLACE_TOKEN = script(`
  local known = redis.call('HGET', token_of, ARGV[1])
  if known == ARGV[3] then return 1 end
  if known ~= ARGV[2] then return 0 end
  ${FORGET_PREVIOUS}
  redis.call('HDEL', tokens, known)
  redis.call('HSET', token_of, ARGV[1], ARGV[3])
  redis.call('HSET', tokens, ARGV[3], ARGV[4])
  if ARGV[5] ~= '' then redis.call('HSET', previous_tokens, ARGV[5], ARGV[1]) end
  return 1
`);

/** ARGV: name, the digest it must have or ''. */
export const DELETE_TOKEN = script(`
  local digest = redis.call('HGET', token_of, ARGV[1])
  if not digest or (ARGV[2] ~= '' and ARGV[2] ~= digest) then return 0 end
  ${FORGET_PREVIOUS}
  redis.call('HDEL', token_of, ARGV[1])
  redis.call('HDEL', tokens, digest)
  return 1
`);

/** ARGV: digest. @returns the token whose secret it was before */
export const TOKEN_BY_PREVIOUS = script(`
  local name = redis.call('HGET', previous_tokens, ARGV[1])
  local digest = name and redis.call('HGET', token_of, name)
  return digest and redis.call('HGET', tokens, digest)
`);

/** ARGV: kind and id, value, the revision it must have or ''. @returns the new one, or 0 */
export const PUT_RECORD = script(`
  if ARGV[3] ~= '' and ARGV[3] ~= (redis.call('HGET', revisions, ARGV[1]) or '0') then return 0 end
  redis.call('HSET', records, ARGV[1], ARGV[2])
  redis.call('ZADD', record_order, 0, ARGV[1])
  return redis.call('HINCRBY', revisions, ARGV[1], 1)
`);

/** ARGV: kind and id. */
export const DELETE_RECORD = script(`
  redis.call('ZREM', record_order, ARGV[1])
  redis.call('HDEL', revisions, ARGV[1])
  return redis.call('HDEL', records, ARGV[1])
`);

/** ARGV: where the kind begins and ends in the order, how many are kept. */
export const TRIM_RECORDS = script(`
  for _, field in ipairs(redis.call('ZREVRANGEBYLEX', record_order, ARGV[2], ARGV[1], 'LIMIT', ARGV[3], -1)) do
    redis.call('ZREM', record_order, field)
    redis.call('HDEL', revisions, field)
    redis.call('HDEL', records, field)
  end
`);

/** ARGV: node, tier, fence. */
export const ACKNOWLEDGE = script(`
  redis.call('HSET', tiers, ARGV[1], ARGV[2])
  if tonumber(ARGV[3]) <= tonumber(redis.call('HGET', fences, ARGV[1]) or '0') then return end
  redis.call('HSET', fences, ARGV[1], ARGV[3])
  ${TELL}
`);

const GRANT = (node: string, leaseMs: string): string =>
  `redis.call('HSET', grants, ${node}, redis.call('HINCRBY', head, 'grants', 1) .. ':' .. ${leaseMs})`;

/** ARGV: node, tier, fence, lease in ms, heartbeat. */
export const HEARTBEAT = script(`
  redis.call('HSET', tiers, ARGV[1], ARGV[2])
  redis.call('HSET', heartbeats, ARGV[1], ARGV[5])
  if tonumber(ARGV[3]) < tonumber(redis.call('HGET', head, 'completed') or '0') then return end
  ${GRANT('ARGV[1]', 'ARGV[4]')}
  return redis.call('HGET', grants, ARGV[1])
`);

/** ARGV: lease in ms, then node and tier of each. */
export const PRESUME = script(`
  for i = 2, #ARGV, 2 do
    redis.call('HSET', tiers, ARGV[i], ARGV[i + 1])
    if redis.call('HEXISTS', grants, ARGV[i]) == 0 then ${GRANT('ARGV[i]', 'ARGV[1]')} end
  end
`);

/** ARGV: node, the grant it had or ''. */
export const FORGET = script(`
  if (redis.call('HGET', grants, ARGV[1]) or '') ~= ARGV[2] then return end
  for _, key in ipairs({ fences, grants, tiers, heartbeats }) do redis.call('HDEL', key, ARGV[1]) end
`);

/** ARGV: fence, then node and grant of each that may be behind. */
export const COMPLETE = script(`
  local without = {}
  for i = 2, #ARGV, 2 do without[ARGV[i]] = ARGV[i + 1] end
  local all = redis.call('HGETALL', grants)
  for i = 1, #all, 2 do
    local reached = tonumber(redis.call('HGET', fences, all[i]) or '0')
    if reached < tonumber(ARGV[1]) and without[all[i]] ~= all[i + 1] then return 0 end
  end
  if tonumber(ARGV[1]) > tonumber(redis.call('HGET', head, 'completed') or '0') then
    redis.call('HSET', head, 'completed', ARGV[1])
    ${TELL}
  end
  return 1
`);

/** ARGV: node, tier, and what it is told to others by: the fence to go on from, or '' if it leaves. */
export const STAND = script(`
  redis.call('HSET', tiers, ARGV[1], ARGV[2])
  if ARGV[3] == '' then redis.call('HDEL', grants, ARGV[1]) else redis.call('HSET', fences, ARGV[1], ARGV[3]) end
  ${TELL}
`);
