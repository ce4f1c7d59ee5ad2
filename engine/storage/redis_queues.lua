
-- The last part of the same library, after `redis_fleet.lua`: what is no partition's, the queues of gateways and who has
-- been heard of; and the names under which all of the library is called.
--
-- Of a gateway KEYS[1], "...:n", has the number of the last notice and lives as long as the gateway is heard of; "...:q"
-- has the notices. Numbers begin with the moment, so that those of a queue that is gone are never used again.

local function queue_of(keys)
  return string.sub(keys[1], 1, -2) .. 'q'
end

local function keep_queue(key, milliseconds)
  local last = redis.call('GET', key)
  if not last then
    last = now_of()
    redis.call('SET', key, last, 'PX', milliseconds)
  elseif redis.call('PTTL', key) < tonumber(milliseconds) then
    redis.call('PEXPIRE', key, milliseconds)
  end
  return last
end

-- ARGV: how long in milliseconds.
local function attend(keys, args)
  keep_queue(keys[1], args[1])
  redis.call('PEXPIRE', queue_of(keys), redis.call('PTTL', keys[1]))
  return 'OK'
end

-- ARGV: a number or '', how many, how long in milliseconds. Answers with the last number, and notices behind the given
-- one; all there are where that is of another queue. What is before has been heard, and leaves in pieces of a hundred.
local function hear(keys, args)
  local last = keep_queue(keys[1], args[3])
  if args[1] == '' then return {last, {}} end
  local from = '(' .. args[1] .. '-0'
  if less(last, args[1]) then
    from = '-'
  else
    redis.call('XTRIM', queue_of(keys), 'MINID', '~', args[1] .. '-1')
    if args[1] == last then return {last, {}} end
  end
  return {last, redis.call('XRANGE', queue_of(keys), from, '+', 'COUNT', args[2])}
end

-- ARGV: notices_max, and notices. A gateway that was not heard of for long is told nothing. Answers with how many wait.
local function tell(keys, args)
  local left, queue = redis.call('PTTL', keys[1]), queue_of(keys)
  if left <= 0 then return 0 end
  local number = redis.call('INCRBY', keys[1], #args - 1) - (#args - 1)
  for i = 2, #args do
    redis.call('XADD', queue, 'MAXLEN', '~', args[1], whole(number + i - 1) .. '-0', 'e', args[i])
  end
  redis.call('PEXPIRE', queue, left)
  return redis.call('XLEN', queue)
end

local function forget_queue(keys)
  redis.call('DEL', keys[1], queue_of(keys))
  return 'OK'
end

-- KEYS: workers, gateways. Answers with workers and gateways that are alive, the lost and the moments when they were, and
-- now.
local function roll(keys)
  local now = now_of()
  return {
    redis.call('ZRANGEBYSCORE', keys[1], '(' .. now, '+inf'), redis.call('ZRANGEBYSCORE', keys[2], '(' .. now, '+inf'),
    redis.call('ZRANGEBYSCORE', keys[2], '-inf', now, 'WITHSCORES'), now,
  }
end

-- As `roll`. ARGV: which of them, name, how long it lasts in milliseconds. The lost stay until they leave.
local function beat(keys, args)
  local now = now_of()
  redis.call('ZADD', keys[tonumber(args[1])], later(now, args[3]), args[2])
  redis.call('ZREMRANGEBYSCORE', keys[1], '-inf', now)
  return roll(keys)
end

local function clock()
  return now_of()
end

local function register(name, callback, flags)
  redis.register_function({function_name = 'proactive_v1_' .. name, callback = callback, flags = flags})
end

register('poll', poll, {'no-writes'})
register('pending', pending, {'no-writes'})
register('history', history, {'no-writes'})
register('recorded', recorded, {'no-writes'})
register('settled', settled, {'no-writes'})
register('describe', describe, {'no-writes'})
register('append', append, {})
register('commit', commit, {})
register('probe', probe, {})
register('where', where, {'no-writes'})
register('former', former, {'no-writes'})
register('users_of', users_of, {'no-writes'})
register('sessions_at', sessions_at, {'no-writes'})
register('unsent', unsent, {'no-writes'})
register('clock', clock, {'no-writes'})
register('roll', roll, {'no-writes'})
register('ingest', ingest, {})
register('take', take, {})
register('resume', resume, {})
register('put_rules', put_rules, {})
register('attend', attend, {})
register('hear', hear, {})
register('tell', tell, {})
register('beat', beat, {})
-- What makes room is done also where there is none, and so is what has to come before it.
register('fence', fence, {'allow-oom'})
register('relayed', relayed, {'allow-oom'})
register('fold', fold, {'allow-oom'})
register('erase', erase, {'allow-oom'})
register('drop_rules', drop_rules, {'allow-oom'})
register('release', release, {'allow-oom'})
register('reached', reached, {'allow-oom'})
register('withdraw', withdraw, {'allow-oom'})
register('erase_everywhere', erase_everywhere, {'allow-oom'})
register('forget_queue', forget_queue, {'allow-oom'})
