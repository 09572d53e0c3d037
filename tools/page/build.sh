#!/bin/sh
# Builds the page of `emoxide serve`, crates/emoxide-server/page/dist, which is committed so that nobody needs these tools
# to build the program: the recogniser as WebAssembly, and the scripts.
#
#   tools/page/build.sh            all of it
#   tools/page/build.sh scripts    the scripts alone
#
# Needs, once:  rustup target add wasm32-unknown-unknown
#               cargo install wasm-bindgen-cli --version <that of wasm-bindgen in Cargo.lock>
#               Node.js with npx
set -eu
cd "$(dirname "$0")/../.."
page=crates/emoxide-server/page
target=${CARGO_TARGET_DIR:-target}

if [ "${1:-}" != scripts ]; then
    RUSTFLAGS="-C target-feature=+simd128" \
        cargo build --locked --release --target wasm32-unknown-unknown -p emoxide-web
    wasm-bindgen --target web --remove-name-section --remove-producers-section --out-dir "$page/dist" \
        "$target/wasm32-unknown-unknown/release/emoxide_web.wasm"
    rm -f "$page/dist/emoxide_web_bg.wasm.d.ts"
    gzip -9nf "$page/dist/emoxide_web_bg.wasm"
fi
npx --yes --package typescript@7.0.2 tsc --project "$page"
ls -l "$page/dist"
