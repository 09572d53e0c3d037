# Everything that CI does, in one command.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo test --workspace
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
    tools/first-command.sh
    cargo check -p emoxide-cli --features vulkan

# The parity fixtures, written anew by the reference implementations.
fixtures:
    for script in tools/reference/*.py; do python3 "$script"; done

# The embedded model, from its recipe.
default-model ferplus:
    cargo run --release -- train recipes/default.toml --data ferplus={{ferplus}}
