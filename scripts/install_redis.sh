#!/bin/sh
# Install Redis from the system's packages where none is found that the tests of that store can start: `make redis`.
# Where that cannot be done it says so and goes on: those tests are skipped then, which only CI takes for a failure.
set -eu

if command -v redis-server >/dev/null; then
    exit 0
fi
"$(dirname "$0")/install_packages.sh" redis-server ||
    echo "no redis-server, so the tests of the store on Redis are skipped; Debian's package is redis-server" >&2
