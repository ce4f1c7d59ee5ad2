#!/bin/sh
# Install Chromium from the system's packages where no browser is found that the tests of reports can use: `make browser`.
# Where that cannot be done it says so and goes on: those tests are skipped then, which only CI takes for a failure.
set -eu

for name in chromium chromium-browser google-chrome google-chrome-stable; do
    if command -v "$name" >/dev/null; then
        exit 0
    fi
done
# A page without a font has no text that could be measured.
"$(dirname "$0")/install_packages.sh" chromium fonts-dejavu-core ||
    echo "no Chromium, so the tests of reports in a browser are skipped; Debian's package is chromium" >&2
