#!/bin/sh
# Put Node where the machine has none that is new enough for the clients: `scripts/install_node.sh VENV`.
# It comes as a Python package, so that it takes no rights and changes nothing outside VENV; found is what VENV/node has.
set -eu

venv=$1

if [ ! -e "$venv/node" ] && command -v npm >/dev/null &&
    node -e 'process.exit(process.versions.node.split(".")[0] < 20 ? 1 : 0)' 2>/dev/null; then
    exit 0
fi
wanted=$(sha256sum <requirements-node.lock)
if [ "$(cat "$venv/node/installed" 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi
echo "installing Node, which the clients are built with, into $venv" >&2
"$venv/bin/python" -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements-node.lock
mkdir -p "$venv/node"
for program in node npm npx; do
    ln -sf "../bin/$program" "$venv/node/$program"
done
echo "$wanted" >"$venv/node/installed"
