#!/bin/sh
# Install system packages where that may be done: `scripts/install_packages.sh PACKAGE…`.
# It fails, and says nothing of its own, where there is no apt-get or no right to use it: whoever asks says what follows.
set -eu

if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null; then
    as_root=sudo
else
    exit 1
fi
command -v apt-get >/dev/null || exit 1
echo "installing $*" >&2
$as_root apt-get update -q >&2
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@" >&2
