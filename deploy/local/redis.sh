# Redis, from Debian's package or wherever `redis-server` is found. Sourced by services.

: "${BAHI_REDIS_PORT:=26379}"

redis_variable() { echo BAHI_REDIS_URL; }
redis_url() { echo "redis://127.0.0.1:$BAHI_REDIS_PORT/0"; }
redis_ports() { echo "$BAHI_REDIS_PORT"; }
redis_home() { echo "$root/redis/data"; }
redis_signal() { echo TERM; }

redis_prepare() {
    need_server redis-server redis-server
    mkdir -p "$root/redis/data"
    redis_command=(redis-server "$here/redis/redis.conf" --bind 127.0.0.1 --port "$BAHI_REDIS_PORT" --dir "$root/redis/data")
}

redis_answers() { [ "$(timeout 2 redis-cli -h 127.0.0.1 -p "$BAHI_REDIS_PORT" ping 2>/dev/null)" = PONG ]; }
