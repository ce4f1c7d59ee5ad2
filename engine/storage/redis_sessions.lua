
-- The third part of the same library, after `redis_upkeep.lua`: where users are, and what has reached all of them.
-- `engine/storage/redis_fleet.py` calls what is here.
--
-- Of a partition "gu" has of each user who is there the sessions and their gateways, "gw:<gateway>" the users who are at
-- one, "og" the gateways that a message has reached.

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
