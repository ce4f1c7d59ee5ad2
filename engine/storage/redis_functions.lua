#!lua name=proactive_v1

-- What the store on Redis does to one partition, each function all or nothing: `engine/storage/redis.py` calls them.
-- Nothing is decided here, and nothing is known of users but their names and bytes.
--
-- KEYS[1] is the partition's hash "...{tag}:m"; its other keys have the same tag and so are in the same slot. A function
-- that stops half-way is not rolled back, so each first looks at all that may be wrong and then only writes.
--
-- Names of users begin with the letter of the sub-hash in which they are. Moments are decimal numbers without leading
-- zeros, "" for none, and are compared as text: a number of Lua has 53 bits, too few for the year 9999.

local AT_ONCE = 4000  -- arguments of one command: Lua's stack ends at 8,000
local PAGE = 200      -- entries looked at at once
local BUCKETS = '0123'

local function prefix_of(keys)
  return string.sub(keys[1], 1, -2)
end

local function less(a, b)
  if #a ~= #b then return #a < #b end
  return a < b
end

local function whole(number)
  return string.format('%d', number)
end

-- Version, cursor, number of the log's last entry, its moment, and the number of the last decision.
local function stand_of(key)
  local stand = redis.call('HMGET', key, 'ver', 'cur', 'last', 'at', 'dseq')
  return stand[1] or '0', stand[2] or '0', stand[3] or '0', stand[4] or '', stand[5] or '0'
end

-- The arguments from `first` to `last` given to a command, in as many pieces as it takes.
local function give(command, key, args, first, last)
  for start = first, last, AT_ONCE do
    redis.call(command, key, unpack(args, start, math.min(start + AT_ONCE - 1, last)))
  end
end

local function once_field(user, once)
  return #user .. ':' .. user .. string.sub(once, 2)
end

local function gather(lists, key, first, second)
  local list = lists[key]
  if not list then
    list = {}
    lists[key] = list
  end
  list[#list + 1] = first
  list[#list + 1] = second
end

-- The log "in" has each entry under its number, packed into one value: its moment, the number of the entry before it of
-- the same user (0 where there is none), how long its letter and user are and how long its once, then these and the line.
-- Entries of a user hang together by these numbers; "el:<bucket>" has the last one of each user. What is folded leaves at
-- the far end, where whoever follows them finds nothing. "on:<bucket>" has the numbers of those that happen once.

-- Kind, user, once, moment, line, the number before.
local function unpack_entry(packed)
  local at, former, who_length, once_length, start = string.match(packed, '^(%d+) (%d+) (%d+) (%d+) ()')
  local once = start + tonumber(who_length)
  local line = once + tonumber(once_length)
  return string.sub(packed, start, start), string.sub(packed, start + 1, once - 1), string.sub(packed, once, line - 1),
    at, string.sub(packed, line), former
end

-- The entry of a number, as `unpack_entry` has it; nothing where it is gone.
local function entry_of(p, number)
  local found = redis.call('XRANGE', p .. 'in', number .. '-0', number .. '-0')[1]
  if found == nil then return nil end
  return unpack_entry(found[2][2])
end

-- Of so many fields (lists by bucket) of hashes called `name`: what they have, by field.
local function look_up(name, lists)
  local found = {}
  for bucket, list in pairs(lists) do
    for start = 1, #list, AT_ONCE do
      local last = math.min(start + AT_ONCE - 1, #list)
      local values = redis.call('HMGET', name .. bucket, unpack(list, start, last))
      for place = start, last do found[list[place]] = values[place - start + 1] or nil end
    end
  end
  return found
end

local function last_of(p, user)
  return redis.call('HGET', p .. 'el:' .. string.sub(user, 1, 1), user)
end

-- Entries behind `number`, none earlier than `at`: of each its user, the field of its once, its moment ('' for `at`), and
-- what stands in the log behind the number before. Their indexes are written together: each command costs, here and in
-- the append-only file. Returns the last number and moment.
local function put_entries(p, number, at, args, first, last)
  local log = p .. 'in'
  local users, buckets, onces = {}, {}, {}
  for i = first, last, 4 do
    local user = args[i]
    if user ~= '' and not buckets[user] then
      local bucket = string.sub(user, 1, 1)
      buckets[user] = bucket
      local list = users[bucket]
      if list then list[#list + 1] = user else users[bucket] = {user} end
    end
  end
  local lasts = look_up(p .. 'el:', users)
  for i = first, last, 4 do
    number = number + 1
    local user, once, moment = args[i], args[i + 1], args[i + 2]
    local n = whole(number)
    if moment ~= '' and not less(moment, at) then at = moment end
    redis.call('XADD', log, n .. '-0', 'e', at .. ' ' .. (lasts[user] or '0') .. ' ' .. args[i + 3])
    if user ~= '' then lasts[user] = n end
    if once ~= '' then gather(onces, buckets[user], once, n) end
  end
  for bucket, names in pairs(users) do
    local list = {}
    for place, user in ipairs(names) do
      list[2 * place - 1] = user
      list[2 * place] = lasts[user]
    end
    give('HSET', p .. 'el:' .. bucket, list, 1, #list)
  end
  for bucket, list in pairs(onces) do give('HSET', p .. 'on:' .. bucket, list, 1, #list) end
  return number, at
end

local function earliest_wake(p)
  return redis.call('ZRANGE', p .. 'wk', 0, 0, 'WITHSCORES')[2] or ''
end

-- Of so many users (a set of names) the states there are: name, state, name, state ...
local function states_of(p, users)
  local buckets = {}
  for user in pairs(users) do
    local bucket = string.sub(user, 1, 1)
    buckets[bucket] = buckets[bucket] or {}
    table.insert(buckets[bucket], user)
  end
  local states = {}
  for bucket, names in pairs(buckets) do
    for start = 1, #names, AT_ONCE do
      local last = math.min(start + AT_ONCE - 1, #names)
      local found = redis.call('HMGET', p .. 'st:' .. bucket, unpack(names, start, last))
      for place = start, last do
        local state = found[place - start + 1]
        if state then
          states[#states + 1] = names[place]
          states[#states + 1] = state
        end
      end
    end
  end
  return states
end

-- ARGV: due_by, entries_max, due_max.
local function poll(keys, args)
  local p = prefix_of(keys)
  local version, cursor, last, at = stand_of(keys[1])
  local entries, users = {}, {}
  if args[2] ~= '0' and cursor ~= last then
    for _, found in ipairs(redis.call('XRANGE', p .. 'in', '(' .. cursor .. '-0', '+', 'COUNT', args[2])) do
      local packed = found[2][2]
      local _, user = unpack_entry(packed)
      entries[#entries + 1] = packed
      if user ~= '' then users[user] = true end
    end
  end
  local due = redis.call('ZRANGEBYSCORE', p .. 'wk', '-inf', args[1], 'LIMIT', 0, args[3])
  for _, user in ipairs(due) do users[user] = true end
  return {version, cursor, at, entries, due, states_of(p, users), earliest_wake(p)}
end

-- From now on no commit is made that knows the version so far: none that is still on its way.
local function fence(keys, args)
  return redis.call('HINCRBY', keys[1], 'ver', 1)
end

-- ARGV: of each entry what `put_entries` takes.
local function append(keys, args)
  local _, _, last, at = stand_of(keys[1])
  local number
  number, at = put_entries(prefix_of(keys), tonumber(last), at, args, 1, #args)
  redis.call('HSET', keys[1], 'last', whole(number), 'at', at)
  return 'OK'
end

-- Messages: "om" has each by its id, "o:<user>" the order of those of a user, "oi" that of all, "ox" when they expire,
-- "ow" other words, "og" the gateways that each has reached.

local function remove_message(p, id)
  local packed = redis.call('HGET', p .. 'om', id)
  if not packed then return 0 end
  local message = cmsgpack.unpack(packed)
  redis.call('HDEL', p .. 'om', id)
  redis.call('HDEL', p .. 'ow', id)
  redis.call('HDEL', p .. 'og', id)
  redis.call('ZREM', p .. 'oi', id)
  redis.call('ZREM', p .. 'o:' .. message[1], message[2])
  if message[3] ~= '' then redis.call('ZREM', p .. 'ox', id) end
  return 1
end

local function put_message(p, key, id, user, at, expires, record)
  if redis.call('HEXISTS', p .. 'om', id) == 1 then return end
  local number = redis.call('HINCRBY', key, 'oseq', 1)
  local place = string.format('%016.0f', number) .. id
  redis.call('HSET', p .. 'om', id, cmsgpack.pack({user, place, expires, record}))
  redis.call('ZADD', p .. 'o:' .. user, at, place)
  redis.call('ZADD', p .. 'oi', number, id)
  if expires ~= '' then redis.call('ZADD', p .. 'ox', expires, id) end
end

local function trim_messages(p, user, most)
  local excess = redis.call('ZCARD', p .. 'o:' .. user) - most
  if excess > 0 then
    for _, place in ipairs(redis.call('ZRANGE', p .. 'o:' .. user, 0, excess - 1)) do
      remove_message(p, string.sub(place, 17))
    end
  end
end

local function drop_expired(p, now)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', p .. 'ox', '-inf', now)) do remove_message(p, id) end
end

-- ARGV: user. Of each message, oldest first: record, and the words it says now, "" where they are its own.
local function pending(keys, args)
  local p = prefix_of(keys)
  local found = {}
  for _, place in ipairs(redis.call('ZRANGE', p .. 'o:' .. args[1], 0, -1)) do
    local id = string.sub(place, 17)
    found[#found + 1] = cmsgpack.unpack(redis.call('HGET', p .. 'om', id))[4]
    found[#found + 1] = redis.call('HGET', p .. 'ow', id) or ''
  end
  return found
end

-- ARGV: now, and ids.
local function relayed(keys, args)
  local p = prefix_of(keys)
  for i = 2, #args do remove_message(p, args[i]) end
  drop_expired(p, args[1])
  return 'OK'
end

-- Faults: "fa" has each by its number, "fx" their numbers and users in order.
local function put_fault(p, key, user, record, most)
  local number = whole(redis.call('HINCRBY', key, 'fseq', 1))
  redis.call('HSET', p .. 'fa', number, record)
  redis.call('RPUSH', p .. 'fx', number .. ' ' .. user)
  while redis.call('LLEN', p .. 'fx') > most do
    redis.call('HDEL', p .. 'fa', string.match(redis.call('LPOP', p .. 'fx'), '^%d+'))
  end
end

-- Where the sections of a commit begin, which are counted by their first argument.
local function sections_of(args, first)
  local sections = {}
  while first <= #args do
    local count = tonumber(args[first])
    sections[#sections + 1] = {first + 1, first + count}
    first = first + count + 1
  end
  return sections
end

local function write_states(p, args, states, wakes, awake, present, absent)
  local i = states[1]
  while i <= states[2] do
    local last = i + 1 + tonumber(args[i + 1])
    give('HSET', p .. 'st:' .. args[i], args, i + 2, last)
    i = last + 1
  end
  give('ZADD', p .. 'wk', args, wakes[1], wakes[2])
  give('ZREM', p .. 'wk', args, awake[1], awake[2])
  give('SADD', p .. 'pr', args, present[1], present[2])
  give('SREM', p .. 'pr', args, absent[1], absent[2])
end

local function write_decisions(p, key, args, section, cursor, decided)
  if section[1] > section[2] then return end
  local number = tonumber(decided)
  for i = section[1], section[2], 3 do
    number = number + 1
    local n = whole(number)
    redis.call('XADD', p .. 'de', n .. '-0', 'u', args[i], 'a', args[i + 1], 'b', cursor, 'd', args[i + 2])
    redis.call('RPUSH', p .. 'd:' .. args[i], n)
  end
  redis.call('HSET', key, 'dseq', whole(number))
end

local function write_messages(p, key, args, outbox, reworded, withdrawn, most)
  local users = {}
  for i = outbox[1], outbox[2], 5 do
    put_message(p, key, args[i], args[i + 1], args[i + 2], args[i + 3], args[i + 4])
    users[args[i + 1]] = true
  end
  for i = reworded[1], reworded[2], 2 do
    if redis.call('HEXISTS', p .. 'om', args[i]) == 1 then redis.call('HSET', p .. 'ow', args[i], args[i + 1]) end
  end
  for i = withdrawn[1], withdrawn[2] do remove_message(p, args[i]) end
  for user in pairs(users) do trim_messages(p, user, most) end
end

-- The moment of an entry of the log, '' where it is gone. `stand_of` has that of the last.
local function moment_of(p, number, last, at)
  if number == last then return at end
  local found = redis.call('XRANGE', p .. 'in', whole(number) .. '-0', whole(number) .. '-0')[1]
  return found and string.match(found[2][2], '^%d+') or ''
end

-- ARGV: version, cursor, outbox_max, faults_max, the moments of the first and the last that is appended, 1 where all
-- before it was told (the stand has in `told` and `told_d` up to which entry and decision), the moment that the last
-- entry before what is appended must have, '' for whichever; then the sections. Answers
-- with the earliest wake-up, or with where the partition stands if the commit does not follow on it: as
-- `order.check_follows` has it.
local function commit(keys, args)
  local p, key = prefix_of(keys), keys[1]
  local version, cursor, last, at, decided = stand_of(key)
  local s = sections_of(args, 9)
  local appended = (s[1][2] - s[1][1] + 1) / 4
  local evaluated = tonumber(args[2]) - appended
  if args[1] ~= version or evaluated < tonumber(cursor) or evaluated > tonumber(last)
      or (appended > 0 and (evaluated < tonumber(last) or less(args[5], at)))
      or (args[8] ~= '' and moment_of(p, evaluated, tonumber(last), at) ~= args[8]) then
    return {0, version, cursor, last, at}
  end
  local number = put_entries(p, tonumber(last), at, args, s[1][1], s[1][2])
  if appended > 0 then redis.call('HSET', key, 'at', args[6]) end
  write_states(p, args, s[2], s[3], s[4], s[5], s[6])
  write_decisions(p, key, args, s[7], cursor, decided)
  write_messages(p, key, args, s[8], s[9], s[10], tonumber(args[3]))
  for i = s[11][1], s[11][2] do
    if not redis.call('LPOS', p .. 'rm', args[i]) then redis.call('RPUSH', p .. 'rm', args[i]) end
  end
  for i = s[12][1], s[12][2], 2 do put_fault(p, key, args[i], args[i + 1], tonumber(args[4])) end
  -- Nothing but a commit brings a wake-up nearer, so none is before the one that is noted.
  local wake = earliest_wake(p)
  local stand = {'ver', whole(tonumber(version) + 1), 'cur', args[2], 'last', whole(number), 'wake', wake}
  if args[7] == '1' then stand[9], stand[10], stand[11], stand[12] = 'told', cursor, 'told_d', decided end
  redis.call('HSET', key, unpack(stand))
  return {1, wake}
end
