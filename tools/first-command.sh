#!/usr/bin/env bash
# Runs the README's first command on its photograph and checks the answer.
set -euo pipefail
cd "$(dirname "$0")/.."
command=$(grep -m1 -oE 'cargo run --release -- predict assets/photos/[a-z0-9_-]+\.(jpg|png)' README.md)
echo "$command"
answer=$($command --format ndjson)
echo "$answer"
[ "$(grep -o '"face_id"' <<<"$answer" | wc -l)" = 1 ] || { echo "expected exactly one face"; exit 1; }
grep -q '"dominant_emotion":"happiness"' <<<"$answer" || { echo "expected happiness"; exit 1; }
