#!/usr/bin/env bash
# The figures of docs/serving.md, one line of JSON each. First argument: the program; second: seconds of a measurement.
set -euo pipefail
cd "$(dirname "$0")/../.."
program=${1:-target/release/emoxide} seconds=${2:-60} port=5057
ulimit -n "$(ulimit -Hn)"

serve() { # arguments of the server
    "$program" serve --port $port --log-level error "$@" > /dev/null &
    server=$!
    until python3 -c "import socket; socket.create_connection(('127.0.0.1', $port))" 2> /dev/null; do sleep 0.1; done
}
end() { kill -TERM $server; wait $server; }
load() { printf '%s: ' "$1"; shift; python3 tools/load/load.py --port $port --pid $server "$@"; }

serve --batch-size 8; load "64 connections, batches of 8" --seconds "$seconds"; end
serve --batch-size 1; load "64 connections, batches of 1" --seconds "$seconds"; end
serve --batch-size 32; load "64 connections, batches of 32" --seconds "$seconds"; end
serve; load "one at a time" --connections 1 --seconds "$((seconds / 3))"; end
serve --batch-size 1 --detector none; load "64 connections, batches of 1, no detector" --seconds "$((seconds / 3))"; end
serve --batch-size 8 --detector none; load "64 connections, batches of 8, no detector" --seconds "$((seconds / 3))"; end
serve --queue 4; load "64 connections, a queue of 4" --seconds "$((seconds / 3))" --pause 0.05; end
serve
(sleep "$((seconds / 6))"; kill -TERM $server) &
load "SIGTERM under load" --seconds "$seconds" --until-refused
wait $server && echo "the server ended with 0"
serve --upload-timeout 300 --header-timeout 300
printf '10 000 half uploads, 500 slow heads: '
python3 tools/load/hostile.py --port $port --pid $server
kill -KILL $server
