#!/bin/sh
# Put Valkey where the machine has none to try the store on: `scripts/install_valkey.sh VENV`, usually by `make valkey`.
# Where the system packages it, that is what is installed. Debian 12 does not: there the packages of Debian 13 are
# unpacked below VENV/valkey, with the libraries they want, and change nothing outside it. They come from the mirror
# that apt uses already, and apt checks their signatures as it always does.
# Where that cannot be done it says so and goes on: those tests are skipped then, which only CI takes for a failure.
set -eu

if valkey-server --version >/dev/null 2>&1; then
    exit 0
fi

release=trixie
keys=/usr/share/keyrings/debian-archive-keyring.gpg
# What has the programs, and all that they are linked with.
programs="valkey-server valkey-tools"
libraries="libatomic1 libc6 libcap2 libgcc-s1 libjemalloc2 liblzf1 libssl3t64 libstdc++6 libsystemd0 libzstd1 zlib1g"

venv=$(cd "$1" && pwd)
own=$venv/valkey
apt=$(mktemp -d)
is_there=

# Whatever fails ends the script, and comes here.
finish() {
    rm -rf "$apt"
    if [ -z "$is_there" ]; then
        rm -rf "$own"
        echo "no valkey-server, so the tests of the store on Valkey are skipped; Debian's package, from 13 on, is valkey-server" >&2
    fi
    exit 0
}
trap finish EXIT

privately() {
    apt-get -q -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State="$apt" \
        -o Dir::State::status="$apt/status" -o Dir::Cache="$apt/cache" -o APT::Sandbox::User="$(id -un)" \
        -o Acquire::Languages=none -o Acquire::Retries=3 "$@" >&2
}

if apt-cache show valkey-server >/dev/null 2>&1; then
    "$(dirname "$0")/install_packages.sh" valkey-server
    is_there=yes
    exit
fi

[ "$(. /etc/os-release && echo "$ID$VERSION_ID")" = debian12 ]
[ -e "$keys" ]
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm' 'Component: main' | head -n 1)
[ -n "$mirror" ]
echo "installing Valkey, which the store is tried on, from Debian's next release into $own" >&2
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/packages"
: >"$apt/status"
echo "deb [signed-by=$keys] $mirror $release main" >"$apt/sources.list"
privately update
(cd "$apt/packages" && privately download $programs $libraries)
rm -rf "$own"
mkdir "$own"
for package in "$apt"/packages/*.deb; do
    dpkg-deb -x "$package" "$own/root"
done
loader=$(find "$own/root/usr/lib" -name 'ld-linux*.so.*' | head -n 1)
linked=$(dirname "$(find "$own/root/usr/lib" -name libjemalloc.so.2)")
cat >"$own/valkey-server" <<END
#!/bin/sh
exec "$loader" --library-path "$linked" "$own/root/usr/bin/valkey-server" "\$@"
END
chmod +x "$own/valkey-server"
"$own/valkey-server" --version >&2
is_there=yes
