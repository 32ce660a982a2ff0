-- Fills blanks, and rows that are older; says how many.
-- KEYS: accounts. ARGV: how far the rows are, the rows of each account.
local filled = 0
for place = 1, #KEYS do
    local next = redis.call('HGET', KEYS[place], 'next')
    if next and tonumber(next) <= tonumber(ARGV[1]) then
        redis.call('HSET', KEYS[place], 'next', ARGV[1], 'rows', ARGV[place + 1])
        filled = filled + 1
    end
end
return filled
