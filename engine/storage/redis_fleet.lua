
-- The third part of the same library, after `redis_upkeep.lua`: what gateways and workers share of a partition.
-- `engine/storage/redis_fleet.py` calls what is here.
--
-- Of a partition the stand ":m" has besides who holds it (`own`) and until when (`till`), and the tick that `take` has
-- put last (`tick`, `tick_at`). "gu" has of each user who is there the sessions and their gateways, "gw:<gateway>" the
-- users who are at one.

local TICK = '1 0 t{"kind":"tick"}'

local function now_of()
  local now = redis.call('TIME')
  return now[1] .. string.format('%06d', now[2])
end

local function later(moment, milliseconds)
  return whole(tonumber(moment) + tonumber(milliseconds) * 1000)
end

-- Where a user is: of each session, in the order in which they came, its name and its gateway.
local function sessions_of(p, user)
  local packed = redis.call('HGET', p .. 'gu', user)
  return packed and cmsgpack.unpack(packed) or {}
end

local function gateways_of(sessions)
  local set, list = {}, {}
  for i = 2, #sessions, 2 do
    if not set[sessions[i]] then
      set[sessions[i]] = true
      list[#list + 1] = sessions[i]
    end
  end
  return set, list
end

local function have_all(reached, gateways)
  local set = {}
  for _, gateway in ipairs(reached) do set[gateway] = true end
  for gateway in pairs(gateways) do
    if not set[gateway] then return false end
  end
  return true
end

-- What has reached all gateways where the user is leaves the outbox. Of one who has come to `new` nothing there is known
-- to have been reached.
local function drop_reached(p, user, gateways, new)
  if redis.call('EXISTS', p .. 'og') == 0 then return end
  for _, place in ipairs(redis.call('ZRANGE', p .. 'o:' .. user, 0, -1)) do
    local id = string.sub(place, 17)
    local packed = redis.call('HGET', p .. 'og', id)
    local reached = {}
    for _, gateway in ipairs(packed and cmsgpack.unpack(packed) or {}) do
      if gateway ~= new then reached[#reached + 1] = gateway end
    end
    if packed and #reached == 0 then
      redis.call('HDEL', p .. 'og', id)
    elseif packed and have_all(reached, gateways) then
      remove_message(p, id)
    elseif packed and new then
      redis.call('HSET', p .. 'og', id, cmsgpack.pack(reached))
    end
  end
end

-- The clients of sessions: "sc" has the name of each, "cl:<client>" its users and sessions.
local function drop_client(p, user, session)
  local place = cmsgpack.pack({user, session})
  local client = redis.call('HGET', p .. 'sc', place)
  if client then
    redis.call('HDEL', p .. 'sc', place)
    redis.call('SREM', p .. 'cl:' .. client, place)
  end
end

local function note_client(p, user, session, client)
  if client == '' then return end
  drop_client(p, user, session)
  local place = cmsgpack.pack({user, session})
  redis.call('HSET', p .. 'sc', place, client)
  redis.call('SADD', p .. 'cl:' .. client, place)
end

local function write_sessions(p, user, before, after, new)
  local was, is = gateways_of(before), gateways_of(after)
  if #after == 0 then
    redis.call('HDEL', p .. 'gu', user)
  else
    redis.call('HSET', p .. 'gu', user, cmsgpack.pack(after))
  end
  for gateway in pairs(was) do
    if not is[gateway] then redis.call('SREM', p .. 'gw:' .. gateway, user) end
  end
  for gateway in pairs(is) do
    if not was[gateway] then redis.call('SADD', p .. 'gw:' .. gateway, user) end
  end
  drop_reached(p, user, is, new)
end

-- The sessions without one of them, and without as many at `gateway` as are more than `most`, the oldest first, whose
-- clients are forgotten.
local function without(p, user, sessions, session, gateway, most)
  local here = 0
  for i = 2, #sessions, 2 do
    if sessions[i] == gateway and sessions[i - 1] ~= session then here = here + 1 end
  end
  local left = {}
  for i = 1, #sessions, 2 do
    local is_here = sessions[i + 1] == gateway
    if sessions[i] ~= session then
      if is_here and here > most then
        here = here - 1
        drop_client(p, user, sessions[i])
      else
        left[#left + 1] = sessions[i]
        left[#left + 1] = sessions[i + 1]
      end
    end
  end
  return left
end

local function arrive(p, user, session, gateway, most)
  local before = sessions_of(p, user)
  local after = without(p, user, before, session, gateway, most - 1)
  after[#after + 1] = session
  after[#after + 1] = gateway
  write_sessions(p, user, before, after, gateway)
end

local function gateway_of(sessions, session)
  for i = 1, #sessions, 2 do
    if sessions[i] == session then return sessions[i + 1] end
  end
  return nil
end

-- Whether the session stays, for it is at another gateway.
local function depart(p, user, session, gateway)
  local before = sessions_of(p, user)
  local where = gateway_of(before, session)
  if not where then return false end
  if gateway ~= '' and gateway ~= where then return true end
  drop_client(p, user, session)
  write_sessions(p, user, before, without(p, user, before, session, where, #before))
  return false
end

-- Note who comes and goes: the places of entries by which sessions end that stay; nothing where there are none.
local function move(p, args, first, gateway, most)
  local staying = nil
  for i = first, #args, 4 do
    if args[i + 2] == '+' then
      arrive(p, args[i], args[i + 1], gateway, most)
      note_client(p, args[i], args[i + 1], args[i + 3])
    elseif depart(p, args[i], args[i + 1], gateway) then
      for place in string.gmatch(args[i + 2], '%d+') do
        staying = staying or {}
        staying[tonumber(place)] = true
      end
    end
  end
  return staying
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

-- ARGV: users. Of each the gateways where it is.
local function where(keys, args)
  local p, found = prefix_of(keys), {}
  for i, user in ipairs(args) do
    local _, list = gateways_of(sessions_of(p, user))
    found[i] = list
  end
  return found
end

-- ARGV: gateway, and of each message user and id.
local function reached(keys, args)
  local p, gateways = prefix_of(keys), {}
  for i = 2, #args, 2 do
    local user, id = args[i], args[i + 1]
    if redis.call('HEXISTS', p .. 'om', id) == 1 then
      gateways[user] = gateways[user] or gateways_of(sessions_of(p, user))
      local packed = redis.call('HGET', p .. 'og', id)
      local list = packed and cmsgpack.unpack(packed) or {}
      if not have_all(list, {[args[1]] = true}) then list[#list + 1] = args[1] end
      if have_all(list, gateways[user]) then
        remove_message(p, id)
      else
        redis.call('HSET', p .. 'og', id, cmsgpack.pack(list))
      end
    end
  end
  return 'OK'
end

-- ARGV: ids.
local function withdraw(keys, args)
  local p = prefix_of(keys)
  for _, id in ipairs(args) do remove_message(p, id) end
  return 'OK'
end

-- ARGV: gateway, user, session, sessions_max. Answers with the gateway where it was, nothing where it was nowhere.
local function resume(keys, args)
  local p = prefix_of(keys)
  local former = gateway_of(sessions_of(p, args[2]), args[3])
  if former == nil then return {} end
  arrive(p, args[2], args[3], args[1], tonumber(args[4]))
  return {former}
end

-- ARGV: user, session. Of the other sessions of its client that came before it: names and gateways.
local function former(keys, args)
  local p, user, found = prefix_of(keys), args[1], {}
  local client = redis.call('HGET', p .. 'sc', cmsgpack.pack({user, args[2]}))
  if not client then return found end
  local sessions = sessions_of(p, user)
  for i = 1, #sessions, 2 do
    if sessions[i] == args[2] then break end
    if redis.call('HGET', p .. 'sc', cmsgpack.pack({user, sessions[i]})) == client then
      found[#found + 1] = sessions[i]
      found[#found + 1] = sessions[i + 1]
    end
  end
  return found
end

-- ARGV: client. Its users, one of them once for each session.
local function users_of(keys, args)
  local found = {}
  for i, place in ipairs(redis.call('SMEMBERS', prefix_of(keys) .. 'cl:' .. args[1])) do
    found[i] = cmsgpack.unpack(place)[1]
  end
  return found
end

-- ARGV: gateway. Of each user who is there: name and sessions.
local function sessions_at(keys, args)
  local p, found = prefix_of(keys), {}
  for _, user in ipairs(redis.call('SMEMBERS', p .. 'gw:' .. args[1])) do
    local sessions, here = sessions_of(p, user), {}
    for i = 1, #sessions, 2 do
      if sessions[i + 1] == args[1] then here[#here + 1] = sessions[i] end
    end
    found[#found + 1] = user
    found[#found + 1] = here
  end
  return found
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

-- ARGV: user. As `erase`; the partition has a new version then, and the user is nowhere.
local function erase_everywhere(keys, args)
  local p = prefix_of(keys)
  local count = erase(keys, args)
  if count < 0 then return count end
  local sessions = sessions_of(p, args[1])
  for i = 1, #sessions, 2 do drop_client(p, args[1], sessions[i]) end
  if #sessions > 0 then write_sessions(p, args[1], sessions, {}) end
  redis.call('HINCRBY', keys[1], 'ver', 1)
  return count
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
