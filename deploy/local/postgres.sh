# PostgreSQL, from Debian's packages or wherever `postgres` is found. Sourced by services.

: "${BAHI_POSTGRES_PORT:=25432}"

postgres_variable() { echo BAHI_POSTGRES_URL; }
postgres_url() { echo "postgres://bahi@127.0.0.1:$BAHI_POSTGRES_PORT/bahi"; }
postgres_ports() { echo "$BAHI_POSTGRES_PORT"; }
# "Fast": ends sessions and writes a checkpoint; TERM would wait for the sessions to end by themselves.
postgres_signal() { echo INT; }

# PostgreSQL refuses to run as root: for root it runs as the user that Debian's package makes.
postgres_as=()
if [ "$(id -u)" = 0 ]; then
    postgres_as=(setpriv --reuid=postgres --regid=postgres --init-groups --)
fi

# In the target folder, or, where that user may not go (below /root, say), in a folder of its own.
postgres_home() {
    if [ "$(id -u)" != 0 ] || "${postgres_as[@]}" test -x "$root/postgres" 2>/dev/null; then
        echo "$root/postgres/data"
    else
        echo "$(getent passwd postgres | cut -d : -f 6)/bahi-$(cksum <<<"$root" | cut -d ' ' -f 1)"
    fi
}

# The programs: of the version that made the data, else of the newest.
postgres_bin() {
    local found
    found=$(compgen -G "/usr/lib/postgresql/$(cat "$(postgres_home)/PG_VERSION" 2>/dev/null || echo '*')/bin" | sort -V | tail -n 1)
    if [ -n "$found" ]; then
        echo "$found"
    elif found=$(command -v postgres); then
        dirname "$found"
    fi
}

postgres_prepare() {
    local home bin
    PATH="$PATH:$(postgres_bin)" need_server postgres postgresql
    home=$(postgres_home)
    bin=$(postgres_bin)
    if [ "$home" != "$root/postgres/data" ]; then
        say "postgres keeps its data in $home: its user may not enter $root/postgres"
    fi
    # Made elsewhere and moved, so that what is there is whole.
    if [ ! -e "$home" ]; then
        rm -rf "$home.new"
        if [ "$(id -u)" = 0 ]; then install -d -m 0700 -o postgres -g postgres "$home.new"; fi
        logged postgres "${postgres_as[@]}" "$bin/initdb" --pgdata "$home.new" --username postgres \
            --auth trust --encoding UTF8 --locale C.UTF-8
        logged postgres "${postgres_as[@]}" "$bin/postgres" --single -j -D "$home.new" postgres <"$here/postgres/bahi.sql"
        mv "$home.new" "$home"
    fi
    {
        cat "$here/postgres/postgresql.conf"
        printf '\n# Of this machine.\n'
        printf '%s\n' "listen_addresses = '127.0.0.1'" "port = $BAHI_POSTGRES_PORT"
    } >"$home/postgresql.conf"
    echo 'host all all 127.0.0.1/32 trust' >"$home/pg_hba.conf"

    # What a killed server leaves names a process id; once another program has that id, PostgreSQL would not start.
    local left
    left=$(head -n 1 "$home/postmaster.pid" 2>/dev/null) || true
    if [ -n "$left" ] && ! grep -qsF "$home" "/proc/$left/cmdline"; then rm -f "$home/postmaster.pid"; fi

    postgres_command=("${postgres_as[@]}" "$bin/postgres" -D "$home")
}

# The role reaches the database and gets an answer.
postgres_answers() {
    timeout 2 "$(postgres_bin)/psql" --no-psqlrc --output /dev/null --command 'select 1' "$(postgres_url)" 2>/dev/null
}
