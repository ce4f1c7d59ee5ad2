#!/bin/sh
# Put Apache ECharts beside the report that uses it, verbatim with its licences: `scripts/vendor_echarts.sh [VERSION]`.
# It needs npm. What came is held by its sum in tests/replay/page/test_page_vendored.py; write the new one there.
set -eu

version=${1:-6.1.0}
# "common" is the smallest of the official builds that has scatter charts, tooltips and zooming.
build=echarts.common.min.js
cd "$(dirname "$0")/../engine/replay/page/vendor"

fetched=$(mktemp -d)
trap 'rm -rf "$fetched"' EXIT
npm pack --silent --pack-destination "$fetched" "echarts@$version" >/dev/null
tar -xzf "$fetched"/echarts-*.tgz -C "$fetched"
cp "$fetched/package/dist/$build" "$fetched/package/LICENSE" "$fetched/package/NOTICE" \
    "$fetched/package/licenses/LICENSE-d3" .
chmod 644 -- *
echo "echarts $version:"
sha256sum -- *
