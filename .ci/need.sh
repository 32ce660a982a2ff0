# Sourced by the scripts beside it: finds a command, or installs the Debian package that holds it, or says what to install.

say() { printf 'setup: %s\n' "$*" >&2; }

# need COMMAND PACKAGE... : the packages are installed when the command is missing and this is Debian as root.
need() {
    local command=$1
    shift
    command -v "$command" >/dev/null 2>&1 && return 0
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        say "$command is missing: installing $*"
        apt-get update -qq >&2
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
    else
        say "'$command' is missing. Please install it and try again; on Debian or Ubuntu: sudo apt-get install $*"
        exit 1
    fi
}
