# What CI does, in one command.
check:
    .ci/run

# The parity fixtures, written anew by the reference implementations.
fixtures:
    for script in tools/reference/*.py; do python3 "$script"; done

# The embedded model, from its recipe.
default-model ferplus:
    cargo run --release -- train recipes/default.toml --data ferplus={{ferplus}}
