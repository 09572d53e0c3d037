#!/usr/bin/env bash
# The package of Python as its users meet it: installed from its folder into a clean environment, its tests against the command line, and
# the notebook executed. Without Python, or a registry to install from, it says that it cannot tell.
set -euo pipefail
cd "$(dirname "$0")/../.."

skip() { echo "SKIPPED: $*"; exit 0; }
python=${PYTHON:-python3}
command -v "$python" > /dev/null || skip "there is no $python"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || skip "$("$python" --version) is older than 3.10"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m venv "$work/venv" > "$work/log" 2>&1 || skip "$python makes no environments (apt-get install python3-venv)"
bin=$work/venv/bin
"$bin/pip" download --quiet --no-deps --dest "$work" maturin > "$work/log" 2>&1 || skip "pip reaches no registry"

# Where the wheel's library is built, and the program lies that the tests compare with; what is asked for is that of tools/onnx/check.sh,
# so that it is compiled once.
CARGO_TARGET_DIR=$(realpath -m "${CARGO_TARGET_DIR:-target}")
export CARGO_TARGET_DIR
cargo build --release -p emoxide-cli -p emoxide-export --bin emoxide --example random_checkpoint

begun=$SECONDS
"$bin/pip" wheel --quiet --no-deps --wheel-dir "$work" crates/emoxide-python
echo "wheel built in $((SECONDS - begun)) s: $(cd "$work" && du -h emoxide-*.whl | tr '\t' ' ')"
begun=$SECONDS
"$bin/pip" install --quiet crates/emoxide-python
echo "installed from its folder in $((SECONDS - begun)) s, with $("$bin/pip" list --format freeze | grep -cvE '^(pip|setuptools|emoxide)=') other packages"
(cd "$work" && "$bin/python" - << 'CODE'
import sys, time
begun = time.perf_counter()
import emoxide
emoxide.Recognizer()
print(f"emoxide {emoxide.__version__} imported and its model opened in {time.perf_counter() - begun:.2f} s")
assert "torch" not in sys.modules
CODE
)
"$bin/pip" install --quiet "crates/emoxide-python[test]"
"$bin/python" -m mypy --config-file crates/emoxide-python/pyproject.toml --strict crates/emoxide-python/python/emoxide
"$bin/pip" install --quiet "crates/emoxide-python[ray]" || echo "SKIPPED: Ray cannot be installed here; its tests are left out"
"$bin/python" -m pytest -q crates/emoxide-python/tests
"$bin/python" tools/python/notebook.py docs/notebook/emoxide.ipynb
