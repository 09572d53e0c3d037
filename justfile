# What CI does, in one command.
check:
    .ci/run

# The lints, the documentation and the GPU build; they join `check` once they are clean.
strict:
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
    cargo check -p emoxide-cli --features vulkan

# The parity fixtures, written anew by the reference implementations.
fixtures:
    for script in tools/reference/*.py; do python3 "$script"; done

# The embedded model, from its recipe.
default-model ferplus:
    cargo run --release -- train recipes/default.toml --data ferplus={{ferplus}}
