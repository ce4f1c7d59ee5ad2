#!/bin/sh
# Write requirements.lock, requirements-dev.lock and requirements-node.lock: `scripts/lock.sh PYTHON`, usually by `make lock`.
# Versions and hashes, for every Python that is supported; nothing about where they are downloaded from.
set -eu

python=$1
"$python" -m pip --disable-pip-version-check --quiet install uv

compile() {
    output=$1 what=$2 from=$3
    shift 3
    fresh=$(mktemp)
    "$python" -m uv pip compile "$from" --universal --python-version 3.11 --generate-hashes --quiet \
        --no-header --no-annotate --no-emit-index-url --no-emit-find-links --upgrade "$@" -o "$fresh" >&2
    {
        echo "# What \`make $what\` installs, with hashes; made by \`make lock\` from $from. Do not edit."
        cat "$fresh"
    } >"$output"
    rm "$fresh"
}

compile requirements.lock run pyproject.toml
# The same versions of what both need.
compile requirements-dev.lock test pyproject.toml --group dev --constraint requirements.lock
# For machines without a Node of their own.
compile requirements-node.lock test requirements-node.in
