#!/bin/sh
# Install Chromium from the system's packages where no browser is found that the tests of reports can use: `make browser`.
# Where that cannot be done it says so and goes on: those tests are skipped then, which only CI takes for a failure.
set -eu

for name in chromium chromium-browser google-chrome google-chrome-stable; do
    if command -v "$name" >/dev/null; then
        exit 0
    fi
done
if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null; then
    as_root=sudo
else
    as_root=none
fi
if [ "$as_root" = none ] || ! command -v apt-get >/dev/null; then
    echo "no Chromium found, so the tests of reports in a browser are skipped; Debian's package is chromium" >&2
    exit 0
fi
echo "installing chromium, for the tests of reports" >&2
# A page without a font has no text that could be measured.
$as_root apt-get update -q >&2 &&
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends chromium fonts-dejavu-core >&2 ||
    echo "Chromium could not be installed, so the tests of reports in a browser are skipped" >&2
