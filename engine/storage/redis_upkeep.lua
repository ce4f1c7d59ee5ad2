
-- The second part of the same library, after `redis_functions.lua`: what is looked up of one user, and what makes the
-- store forget.

-- ARGV: user, before, events_max. The events earlier than a moment, newest first: number, packed ...; and the folded past.
local function history(keys, args)
  local p, user, most = prefix_of(keys), args[1], tonumber(args[3])
  local found = {}
  local number = last_of(p, user)
  while number and #found < 2 * most do
    local entry = redis.call('XRANGE', p .. 'in', number .. '-0', number .. '-0')[1]
    if entry == nil then break end
    local kind, _, _, at, _, former = unpack_entry(entry[2][2])
    if kind == 'e' and less(at, args[2]) then
      found[#found + 1] = number
      found[#found + 1] = entry[2][2]
    end
    number = former
  end
  return {found, redis.call('HGET', p .. 'bp:' .. string.sub(user, 1, 1), user) or ''}
end

-- The newest of a list of numbers that are below another, newest first.
local function newest(list, before, most)
  local found = {}
  local last = redis.call('LLEN', list) - 1
  while last >= 0 and #found < most do
    local numbers = redis.call('LRANGE', list, math.max(0, last - PAGE + 1), last)
    for i = #numbers, 1, -1 do
      if tonumber(numbers[i]) < before and #found < most then found[#found + 1] = numbers[i] end
    end
    last = last - PAGE
  end
  return found
end

-- ARGV: user, before (entries), before (decisions), items_max. Entries: number, packed ...; decisions: number, line ...
local function recorded(keys, args)
  local p, user, most = prefix_of(keys), args[1], tonumber(args[4])
  local entries, decisions = {}, {}
  local before = tonumber(args[2])
  local number = last_of(p, user)
  if number and before <= tonumber(number) then
    -- Whoever pages asks with an entry of this user: then all that is newer need not be looked at.
    local _, whose, _, _, _, former = entry_of(p, args[2])
    if whose == user then number = former end
  end
  while number and #entries < 2 * most do
    local entry = redis.call('XRANGE', p .. 'in', number .. '-0', number .. '-0')[1]
    if entry == nil then break end
    if tonumber(number) < before then
      entries[#entries + 1] = number
      entries[#entries + 1] = entry[2][2]
    end
    local _, _, _, _, _, former = unpack_entry(entry[2][2])
    number = former
  end
  for _, n in ipairs(newest(p .. 'd:' .. user, tonumber(args[3]), most)) do
    decisions[#decisions + 1] = n
    decisions[#decisions + 1] = redis.call('XRANGE', p .. 'de', n .. '-0', n .. '-0')[1][2][8]
  end
  return {entries, decisions}
end

local function has_one_of(text, wanted, first)
  for i = first, #wanted do
    if string.find(text, wanted[i], 1, true) then return true end
  end
  return false
end

-- ARGV: user; since which moment; at which entry to begin ('' at the newest, 0 nowhere) and before which decision; how
-- many decisions to look at whatever their moment, for those of workers that were behind are of an earlier one; how many
-- entries and decisions to look at, and about how many bytes; the text that a decision is to have in it, and texts of
-- which an entry is to have one. Newest first: entries (number, packed ...), decisions (line ...); and where to go on, 0
-- and 0 where all is looked at.
local function settled(keys, args)
  local p, user, since = prefix_of(keys), args[1], args[2]
  local number, before, anyway = args[3], args[4], tonumber(args[5])
  local most, bytes = tonumber(args[6]), tonumber(args[7])
  local entries, lines = {}, {}
  if number == '' then number = last_of(p, user) or '0' end
  local left = most
  while number ~= '0' and left > 0 and bytes > 0 do
    local entry = redis.call('XRANGE', p .. 'in', number .. '-0', number .. '-0')[1]
    local packed = entry and entry[2][2] or ''
    local at, former = string.match(packed, '^(%d+) (%d+) ')
    if at == nil or less(at, since) then
      number = '0'
    else
      if has_one_of(packed, args, 9) then
        entries[#entries + 1] = number
        entries[#entries + 1] = packed
      end
      number = former
    end
    left, bytes = left - 1, bytes - #packed
  end
  local numbers = before ~= '0' and bytes > 0 and newest(p .. 'd:' .. user, tonumber(before), most) or {}
  local is_last = bytes > 0 and #numbers < most
  for place, n in ipairs(numbers) do
    local fields = redis.call('XRANGE', p .. 'de', n .. '-0', n .. '-0')[1][2]
    if place > anyway and less(fields[4], since) then
      is_last = true
      break
    end
    before, bytes = n, bytes - #fields[8]
    if string.find(fields[8], args[8], 1, true) then lines[#lines + 1] = fields[8] end
    if bytes <= 0 then
      is_last = is_last and place == #numbers
      break
    end
  end
  return {entries, lines, number, is_last and '0' or before}
end

-- Of a user's list of numbers one goes, which is the first where nothing is out of order.
local function forget_number(list, number)
  if redis.call('LINDEX', list, 0) == number then
    redis.call('LPOP', list)
  else
    redis.call('LREM', list, 1, number)
  end
end

-- What the indexes have of a page of entries goes: who has no later entry has none.
local function forget_entries(p, page)
  local users, newest_of, onces = {}, {}, {}
  for _, found in ipairs(page) do
    local _, user, once = unpack_entry(found[2][2])
    local bucket = string.sub(user, 1, 1)
    if user ~= '' and not newest_of[user] then
      users[bucket] = users[bucket] or {}
      table.insert(users[bucket], user)
    end
    newest_of[user] = string.match(found[1], '^%d+')
    if once ~= '' then
      onces[bucket] = onces[bucket] or {}
      table.insert(onces[bucket], once_field(user, once))
    end
  end
  for user, number in pairs(look_up(p .. 'el:', users)) do
    if number == newest_of[user] then redis.call('HDEL', p .. 'el:' .. string.sub(user, 1, 1), user) end
  end
  for bucket, list in pairs(onces) do give('HDEL', p .. 'on:' .. bucket, list, 1, #list) end
end

local function fold_entries(p, number)
  local from = '-'
  while true do
    local page = redis.call('XRANGE', p .. 'in', from, number .. '-0', 'COUNT', PAGE)
    forget_entries(p, page)
    if #page < PAGE then break end
    from = '(' .. page[#page][1]
  end
  redis.call('XTRIM', p .. 'in', 'MINID', '=', whole(tonumber(number) + 1) .. '-0')
end

-- What was decided by the moment. A commit that began behind the tick decided only what is later.
local function fold_decisions(p, number, at)
  local from = '-'
  while true do
    local page = redis.call('XRANGE', p .. 'de', from, '+', 'COUNT', PAGE)
    for _, found in ipairs(page) do
      local fields = found[2]
      if tonumber(fields[6]) >= tonumber(number) then return end
      if not less(at, fields[4]) then
        redis.call('XDEL', p .. 'de', found[1])
        forget_number(p .. 'd:' .. fields[2], string.match(found[1], '^%d+'))
      end
      from = '(' .. found[1]
    end
    if #page < PAGE then return end
  end
end

local function folded_of(key)
  local folded = redis.call('HMGET', key, 'fold', 'fold_at', 'era')
  return folded[1] or '0', folded[2] or '', folded[3] or '0'
end

-- ARGV: former number, moment and erasures; number, moment, whether pasts are wanted; of each base user, wake-up, what
-- it is, past. Answers as `order.check_fold` needs it where it does not follow on what is.
local function fold(keys, args)
  local p, key = prefix_of(keys), keys[1]
  local was, was_at, erasures = folded_of(key)
  local _, cursor = stand_of(key)
  local number, at = args[4], args[5]
  local kind, _, _, entry_at = entry_of(p, number)
  if args[1] ~= was or args[2] ~= was_at or args[3] ~= erasures or kind ~= 't' or entry_at ~= at
      or tonumber(number) <= tonumber(was) or tonumber(number) > tonumber(cursor) then
    return {0, was, was_at, erasures, cursor, kind or '', entry_at or ''}
  end
  fold_entries(p, number)
  fold_decisions(p, number, at)
  if args[6] == '0' then
    for bucket in string.gmatch(BUCKETS, '.') do redis.call('DEL', p .. 'bp:' .. bucket) end
  end
  for i = 7, #args, 4 do
    local user, wake, past = args[i], args[i + 1], args[i + 3]
    local bucket = string.sub(user, 1, 1)
    redis.call('HSET', p .. 'ba:' .. bucket, user, args[i + 2])
    if wake == '' then redis.call('ZREM', p .. 'bw', user) else redis.call('ZADD', p .. 'bw', wake, user) end
    if past == '' then
      redis.call('HDEL', p .. 'bp:' .. bucket, user)
    else
      redis.call('HSET', p .. 'bp:' .. bucket, user, past)
    end
  end
  redis.call('HSET', key, 'fold', number, 'fold_at', at)
  return {1}
end

local function erase_entries(p, user)
  local bucket, count = string.sub(user, 1, 1), 0
  local number = last_of(p, user)
  while number do
    local kind, _, once, _, _, former = entry_of(p, number)
    if kind == nil then break end
    if once ~= '' then redis.call('HDEL', p .. 'on:' .. bucket, once_field(user, once)) end
    redis.call('XDEL', p .. 'in', number .. '-0')
    count = count + 1
    number = former
  end
  redis.call('HDEL', p .. 'el:' .. bucket, user)
  return count
end

local function erase_decisions(p, user)
  local numbers = redis.call('LRANGE', p .. 'd:' .. user, 0, -1)
  for _, number in ipairs(numbers) do redis.call('XDEL', p .. 'de', number .. '-0') end
  redis.call('DEL', p .. 'd:' .. user)
  return #numbers
end

local function erase_faults(p, user)
  local count = 0
  for _, each in ipairs(redis.call('LRANGE', p .. 'fx', 0, -1)) do
    local number, whose = string.match(each, '^(%d+) (.*)$')
    if whose == user then
      redis.call('LREM', p .. 'fx', 1, each)
      redis.call('HDEL', p .. 'fa', number)
      count = count + 1
    end
  end
  return count
end

-- ARGV: user. Answers of how many rows, -1 where entries wait to be evaluated.
local function erase(keys, args)
  local p, user = prefix_of(keys), args[1]
  local bucket = string.sub(user, 1, 1)
  local _, cursor = stand_of(keys[1])
  local newest_entry = last_of(p, user)
  if newest_entry and tonumber(newest_entry) > tonumber(cursor) then return -1 end
  local count = erase_entries(p, user) + erase_decisions(p, user) + erase_faults(p, user)
  count = count + redis.call('HDEL', p .. 'st:' .. bucket, user) + redis.call('HDEL', p .. 'ba:' .. bucket, user)
  redis.call('HDEL', p .. 'bp:' .. bucket, user)
  redis.call('ZREM', p .. 'bw', user)
  redis.call('ZREM', p .. 'wk', user)
  redis.call('SREM', p .. 'pr', user)
  for _, place in ipairs(redis.call('ZRANGE', p .. 'o:' .. user, 0, -1)) do
    count = count + remove_message(p, string.sub(place, 17))
  end
  if count > 0 then redis.call('HINCRBY', keys[1], 'era', 1) end
  return count
end

-- ARGV: a moment. Answers with the moments before it, which are gone, and those that are left: "moment hash" each.
local function drop_rules(keys, args)
  local p = prefix_of(keys)
  local gone, kept = {}, {}
  for _, moment in ipairs(redis.call('LRANGE', p .. 'rm', 0, -1)) do
    local at = string.match(moment, '^%d+')
    table.insert(less(at, args[1]) and gone or kept, moment)
  end
  for _, moment in ipairs(gone) do redis.call('LREM', p .. 'rm', 1, moment) end
  return {gone, kept}
end

-- Cursor, last number, folded number, and how many users, decisions, messages and faults there are.
local function describe(keys, args)
  local p = prefix_of(keys)
  local _, cursor, last = stand_of(keys[1])
  local users = 0
  for bucket in string.gmatch(BUCKETS, '.') do users = users + redis.call('HLEN', p .. 'st:' .. bucket) end
  return {
    tonumber(cursor), tonumber(last), tonumber((folded_of(keys[1]))), users, redis.call('XLEN', p .. 'de'),
    redis.call('HLEN', p .. 'om'), redis.call('HLEN', p .. 'fa'),
  }
end

local function probe(keys, args)
  redis.call('HSET', keys[1], 'probe', args[1])
  redis.call('HDEL', keys[1], 'probe')
  return 'OK'
end
