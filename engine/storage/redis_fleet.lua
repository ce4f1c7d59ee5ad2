
-- The fourth part of the same library, after `redis_sessions.lua`: what gateways and workers share of a partition.
-- `engine/storage/redis_fleet.py` calls what is here.
--
-- Of a partition the stand ":m" has besides who holds it (`own`) and until when (`till`), and the tick that `take` has
-- put last (`tick`, `tick_at`).

local TICK = '1 0 t{"kind":"tick"}'

local function now_of()
  local now = redis.call('TIME')
  return now[1] .. string.format('%06d', now[2])
end

local function later(moment, milliseconds)
  return whole(tonumber(moment) + tonumber(milliseconds) * 1000)
end

-- Which of the entries are repeated, or among those that are `passed` over: a set of their places, from 0 on; nothing
-- where none is.
local function repeated_of(p, args, first, last, passed)
  local fields, seen, repeated = {}, {}, passed
  passed = passed or {}
  for i = first, last, 4 do
    local once = args[i + 1]
    if once ~= '' and not passed[(i - first) / 4] then
      if seen[once] then repeated = {} end
      seen[once] = true
      local bucket = string.sub(args[i], 1, 1)
      local list = fields[bucket]
      if list then list[#list + 1] = once else fields[bucket] = {once} end
    end
  end
  local known = look_up(p .. 'on:', fields)
  if not repeated and next(known) == nil then return nil end
  repeated, seen = passed, {}
  for i = first, last, 4 do
    local once = args[i + 1]
    if once ~= '' and not passed[(i - first) / 4] then
      if known[once] or seen[once] then repeated[(i - first) / 4] = true end
      seen[once] = true
    end
  end
  return repeated
end

-- ARGV: gateway, sessions_max, how many arguments entries have; of each what `put_entries` takes; of each presence user,
-- session, '+' where it is there, otherwise the places of the entries that say that it ends, from 0 on, and its client or
-- ''. Answers with the moment, the first number, and the places of those that are repeated or passed over.
local function ingest(keys, args)
  local p, key = prefix_of(keys), keys[1]
  local first, last = 4, 3 + tonumber(args[3])
  local answer = {'', 0}
  local passed = move(p, args, last + 1, args[1], tonumber(args[2]))
  if first <= last then
    local repeated = repeated_of(p, args, first, last, passed)
    local entries, from, to = args, first, last
    if repeated then
      entries, from = {}, 1
      for place = 0, (last - first + 1) / 4 - 1 do
        if repeated[place] then
          answer[#answer + 1] = place
        else
          for i = first + 4 * place, first + 4 * place + 3 do entries[#entries + 1] = args[i] end
        end
      end
      to = #entries
    end
    if from <= to then
      local stand = redis.call('HMGET', key, 'last', 'at')
      local number, at, now = tonumber(stand[1] or '0'), stand[2] or '', now_of()
      if less(at, now) then at = now end
      answer[1], answer[2] = at, number + 1
      number = put_entries(p, number, at, entries, from, to)
      redis.call('HSET', key, 'last', whole(number), 'at', at)
    end
  end
  return answer
end

-- Of a partition that changes hands: one that was never given out, also not by a primary that is lost with what its
-- replica did not have. Counted on alone it could be that of a commit which somebody is about to make there.
local function new_version(former, now)
  local after = whole(tonumber(former) + 1)
  return less(after, now) and now or after
end

-- Hold the partition: whether that can be, and whether another or nobody held it before. Without a lease it always can.
local function hold(key, owner, till, worker, lease, now, version)
  local is_new = owner ~= worker
  if lease == 0 then
    if is_new then redis.call('HSET', key, 'own', worker, 'till', now) end
    return true, is_new
  end
  if is_new and less(now, till) then return false, is_new end
  if is_new then
    redis.call('HSET', key, 'own', worker, 'till', later(now, lease), 'ver', new_version(version, now))
  elseif less(till, later(now, lease / 2)) then
    redis.call('HSET', key, 'till', later(now, lease))
  end
  return true, is_new
end

-- The moment to which time comes for all who are due by it, at most about `most`; nothing where more are by the last
-- entry already.
local function tick_of(p, at, now, most)
  local moment = less(at, now) and now or at
  if redis.call('ZCOUNT', p .. 'wk', '-inf', moment) <= most then return moment end
  if at ~= '' and redis.call('ZCOUNT', p .. 'wk', '-inf', at) > most then return nil end
  local enough = whole(tonumber(redis.call('ZRANGE', p .. 'wk', most - 1, most - 1, 'WITHSCORES')[2]))
  return less(enough, at) and at or enough
end

-- Whether that wake-up is; true where none is known.
local function is_due(wake, now)
  return not wake or (wake ~= '' and tonumber(wake) <= tonumber(now))
end

-- ARGV: worker, lease_ms, entries_max, due_max. Answers with nothing where another holds it; otherwise with version,
-- cursor, the number of the last entry that is handed out (they are read one by one, which costs less than here), the
-- moment of the last one of the log, whether it is new, the moment of the tick, whether that is handed out, who is due.
local function take(keys, args)
  local p, key = prefix_of(keys), keys[1]
  local stand = redis.call('HMGET', key, 'ver', 'cur', 'last', 'at', 'own', 'till', 'tick', 'tick_at', 'wake')
  local now = now_of()
  local version, at = stand[1] or '0', stand[4] or ''
  local may, is_new = hold(key, stand[5] or '', stand[6] or '', args[1], tonumber(args[2]), now, version)
  if not may then return {} end
  if is_new and args[2] ~= '0' then version = new_version(version, now) end
  local cursor, last, tick = tonumber(stand[2] or '0'), tonumber(stand[3] or '0'), tonumber(stand[7] or '0')
  local upto, most = math.min(last, cursor + tonumber(args[3])), tonumber(args[4])
  local horizon, complete, due = '', 0, {}
  if tick > cursor and tick <= upto then
    horizon = stand[8]
  elseif upto == last then
    if is_due(stand[9], now) and is_due(earliest_wake(p), now) then
      local moment = tick_of(p, at, now, most)
      if moment then
        last = put_entries(p, last, moment, {'', '', moment, TICK}, 1, 4)
        tick, horizon, at = last, moment, moment
        redis.call('HSET', key, 'last', whole(last), 'at', moment, 'tick', whole(last), 'tick_at', moment)
      else
        due = redis.call('ZRANGEBYSCORE', p .. 'wk', '-inf', at, 'LIMIT', 0, most)
      end
    end
  end
  if horizon ~= '' then
    upto, complete = tick, 1
    due = redis.call('ZRANGEBYSCORE', p .. 'wk', '-inf', horizon, 'LIMIT', 0, most + 1)
    if #due > most then  -- it is not come to before all who are due by it have run
      upto, complete, due[#due] = tick - 1, 0, nil
    end
  end
  return {tonumber(version), cursor, upto, at, is_new and 1 or 0, horizon, complete, due}
end

-- ARGV: worker.
local function release(keys, args)
  if redis.call('HGET', keys[1], 'own') == args[1] then redis.call('HDEL', keys[1], 'own', 'till') end
  return 'OK'
end

-- ARGV: a number, messages_max. Of each message with a higher number: number, user, record, words.
local function unsent(keys, args)
  local p, now, most, after = prefix_of(keys), now_of(), tonumber(args[2]), args[1]
  local found = {}
  while #found < 4 * most do
    local page = redis.call('ZRANGEBYSCORE', p .. 'oi', '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, most)
    for i = 1, #page, 2 do
      local message = cmsgpack.unpack(redis.call('HGET', p .. 'om', page[i]))
      after = page[i + 1]
      if #found < 4 * most and (message[3] == '' or less(now, message[3])) then
        local words = redis.call('HGET', p .. 'ow', page[i]) or ''
        for _, value in ipairs({after, message[1], message[4], words}) do found[#found + 1] = value end
      end
    end
    if #page < 2 * most then break end
  end
  return found
end

-- ARGV: moment, and what stands in the log. A "rules" entry at exactly that moment; refused with the last moment where that is not before it.
local function put_rules(keys, args)
  local stand = redis.call('HMGET', keys[1], 'last', 'at')
  local number, at = tonumber(stand[1] or '0'), stand[2] or ''
  if not less(at, args[1]) then return at end
  number = put_entries(prefix_of(keys), number, args[1], {'', '', args[1], args[2]}, 1, 4)
  redis.call('HSET', keys[1], 'last', whole(number), 'at', args[1])
  return ''
end
