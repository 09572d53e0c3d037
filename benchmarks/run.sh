#!/usr/bin/env bash
# Installs the peers in a virtual environment beside this file, and runs compare.py with the options given.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
[ -d "$here/venv" ] || python3 -m venv "$here/venv"
"$here/venv/bin/pip" install --quiet --requirement "$here/requirements.txt"
exec "$here/venv/bin/python" "$here/compare.py" "$@"
