#!/bin/sh
# Pack npm packages into a folder, and print each one's name and size: npm_packages.sh FOLDER PACKAGE…
# Nothing is published. Each package builds itself first (its script prepack).
set -eu

mkdir -p "$1"
folder=$(cd "$1" && pwd)
shift
for package; do
    # npm prints the name of the file last, behind what the build has to say.
    file=$(cd "$package" && npm pack --silent --pack-destination "$folder" | tail -n 1)
    bytes=$(wc -c <"$folder/$file")
    echo "$folder/$file: $((bytes)) bytes"
done
