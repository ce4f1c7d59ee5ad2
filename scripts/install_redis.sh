#!/bin/sh
# Install Redis from the system's packages where none is found that the tests of that store can start: `make redis`.
# Where that cannot be done it says so and goes on: those tests are skipped then, which only CI takes for a failure.
set -eu

if command -v redis-server >/dev/null; then
    exit 0
fi
if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null; then
    as_root=sudo
else
    as_root=none
fi
if [ "$as_root" = none ] || ! command -v apt-get >/dev/null; then
    echo "no redis-server found, so the tests of the store on Redis are skipped; Debian's package is redis-server" >&2
    exit 0
fi
echo "installing redis-server, for the tests of the store on Redis" >&2
$as_root apt-get update -q >&2 &&
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends redis-server >&2 ||
    echo "Redis could not be installed, so the tests of the store on it are skipped" >&2
