#!/bin/sh
# Make the virtual environment that `make` works in: `scripts/make_venv.sh DIR`.
# It takes the first Python that is new enough, and installs what a bare Debian or Ubuntu lacks where it may.
set -eu

venv=$1
needed="Python 3.11 or later, with its modules venv and ensurepip (Debian, Ubuntu: python3 and python3-venv)"

suits() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if command -v "$candidate" >/dev/null && suits "$candidate"; then
            echo "$candidate"
            return
        fi
    done
}

# Debian has the module venv without ensurepip, which it needs.
can_make_venvs() {
    "$1" -c 'import venv, ensurepip, sqlite3' 2>/dev/null
}

install_packages() {
    "$(dirname "$0")/install_packages.sh" "$@" ca-certificates || {
        echo "this needs $needed: install it, then run make again" >&2
        exit 1
    }
}

python=$(find_python)
if [ -z "$python" ]; then
    install_packages python3 python3-venv
    python=$(find_python)
elif ! can_make_venvs "$python"; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if [ "$python" = python3 ]; then
        install_packages python3-venv
    else
        install_packages "python$version-venv"
    fi
fi
if [ -z "$python" ] || ! can_make_venvs "$python"; then
    found=$(python3 --version 2>/dev/null || echo "no Python at all")
    echo "expected $needed, found $found; with another one: make PYTHON=/path/to/python3" >&2
    exit 1
fi
"$python" -m venv --clear "$venv"
