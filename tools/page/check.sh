#!/bin/sh
# Whether the page's committed scripts are what their sources give. Without Node.js, or off line, it says that it cannot tell.
set -eu
cd "$(dirname "$0")/../.."
page=crates/emoxide-server/page
tsc="npx --yes --package typescript@7.0.2 tsc"
if ! $tsc --version > /dev/null 2>&1; then
    echo "SKIPPED: there is no npx, or no package registry, to translate the page's scripts with"
    exit 0
fi
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
$tsc --project "$page" --outDir "$made"
for script in "$made"/*.js; do
    diff "$script" "$page/dist/$(basename "$script")" || {
        echo "$page/dist is not what $page/src gives; run tools/page/build.sh scripts" >&2
        exit 1
    }
done
echo "the page's scripts are those of their sources"
