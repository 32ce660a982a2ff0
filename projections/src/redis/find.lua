-- What is kept of an account: how far it is, and its rows; a blank is left where there is nothing.
-- KEYS: the partition's mark, the account. ARGV: seconds that an account is kept.
-- An offset is returned as the text that came in: numbers here lose digits when they are printed.
local mark = redis.call('HMGET', KEYS[1], 'epoch', 'next')
if not mark[1] then
    return { false, false }
end
local held = redis.call('HMGET', KEYS[2], 'epoch', 'next', 'rows')
if held[1] ~= mark[1] then
    if held[1] then
        redis.call('DEL', KEYS[2])
    end
    -- A Redis that is full keeps no blank, and says so to nobody: who asks goes to the database.
    local left = redis.pcall('HSET', KEYS[2], 'epoch', mark[1], 'next', mark[2])
    if type(left) == 'table' and left.err then
        return { false, false }
    end
    held = { mark[1], mark[2], false }
end
redis.call('EXPIRE', KEYS[2], ARGV[1])
local next = mark[2]
if tonumber(held[2]) > tonumber(next) then
    next = held[2]
end
return { next, held[3] }
