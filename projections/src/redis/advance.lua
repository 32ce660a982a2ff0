-- Moves a partition's mark over entries that were committed; says which of the accounts that they touched are here.
-- KEYS: the partition's mark, all accounts that an entry among them touched.
-- ARGV: where they begin, where they end, a fresh epoch, seconds that a mark is kept.
local mark = redis.call('HMGET', KEYS[1], 'epoch', 'next')
local from, to = tonumber(ARGV[1]), tonumber(ARGV[2])
local at = mark[1] and tonumber(mark[2])
if at and at > to then
    return {}
end
if at == to then
    redis.call('EXPIRE', KEYS[1], ARGV[4])
    return {}
end
-- Among them it may be since a question whose answer came too late: the accounts that were touched from there on are
-- among these.
if not at or at < from then
    -- Entries were missed: what is here may lack them.
    redis.call('HSET', KEYS[1], 'epoch', ARGV[3], 'next', ARGV[2])
    redis.call('EXPIRE', KEYS[1], ARGV[4])
    return {}
end
local here = {}
for place = 2, #KEYS do
    local held = redis.call('HMGET', KEYS[place], 'epoch', 'next')
    if held[1] == mark[1] then
        -- A reader may have filled it from the database meanwhile, which is ahead of the mark.
        if tonumber(held[2]) < to then
            redis.call('HDEL', KEYS[place], 'rows')
            redis.call('HSET', KEYS[place], 'next', ARGV[2])
            here[#here + 1] = place
        end
    elseif held[1] then
        redis.call('DEL', KEYS[place])
    end
end
-- Last, so that whatever ends this script early leaves a mark that is behind.
redis.call('HSET', KEYS[1], 'next', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[4])
return here
