# What CI does, in one command.
check:
    .ci/run

# The tests of the kernels under AddressSanitizer, which the released compiler has but does not offer by itself.
sanitize:
    RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address ASAN_OPTIONS=detect_leaks=0 CARGO_TARGET_DIR=target/sanitize \
        cargo test -p emoxide-kernels --target x86_64-unknown-linux-gnu

# The parity fixtures, written anew by the reference implementations.
fixtures:
    for script in tools/reference/*.py; do python3 "$script"; done

# The embedded model, from its recipe.
default-model ferplus:
    cargo run --release -- train recipes/default.toml --data ferplus={{ferplus}}

# Two steps of every recipe, or of those whose path holds `part`, on drawn faces.
recipes part="":
    tools/recipes.sh "{{part}}"

# Checkpoints with the authors' names, imported at full size and compared with PyTorch picture by picture.
imports work:
    cargo build --release
    python3 tools/check_imports.py target/release/emoxide "{{work}}"
