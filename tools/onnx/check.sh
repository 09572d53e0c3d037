#!/usr/bin/env bash
# Exports networks as ONNX and lets ONNX Runtime and OpenVINO answer with them: check.sh [NAME ...], without names all of `models
# list`, which takes about eight minutes on two cores. Needs Python; where its packages cannot be had, says so and checks nothing.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if ! { python3 -m venv "$work/venv" && "$work/venv/bin/pip" install --quiet numpy onnxruntime openvino; } >"$work/log" 2>&1; then
    tail -n 3 "$work/log"
    echo "LEFT OUT: ONNX files are not checked, because Python's packages numpy, onnxruntime and openvino cannot be had"
    exit 0
fi
python="$work/venv/bin/python"

# Small networks of all families, with every setting.
EMOXIDE_PYTHON="$python" cargo test --workspace --test it -- runtimes:: --nocapture

# The same build as that of the first command.
cargo build --release -p emoxide-cli -p emoxide-export --bin emoxide --example random_checkpoint
target="${CARGO_TARGET_DIR:-target}/release"
"$python" tools/onnx/check_all.py "$target/emoxide" "$target/examples/random_checkpoint" "$@"
