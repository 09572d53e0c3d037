#!/bin/sh
# Whether the page's committed scripts are what their sources give. Without Node.js it says that it cannot tell.
set -eu
cd "$(dirname "$0")/../.."
page=crates/emoxide-server/page
if ! command -v npx > /dev/null; then
    echo "SKIPPED: there is no npx to translate the page's scripts with"
    exit 0
fi
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
npx --yes --package typescript@7.0.2 tsc --project "$page" --outDir "$made"
for script in "$made"/*.js; do
    diff "$script" "$page/dist/$(basename "$script")" || {
        echo "$page/dist is not what $page/src gives; run tools/page/build.sh scripts" >&2
        exit 1
    }
done
echo "the page's scripts are those of their sources"
