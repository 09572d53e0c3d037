#!/usr/bin/env bash
# Trains every recipe for two steps of two drawn faces: recipes.sh [PART], where PART is a piece of a recipe's path.
set -euo pipefail
cd "$(dirname "$0")/.."
part="${1:-}"
cargo build --release
emoxide="${CARGO_TARGET_DIR:-target}/release/emoxide"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Trains a recipe with the data sets named so far. The program says which one it lacks; that is drawn, and it tries again.
two_steps() {
    local recipe="$1" data=() layout
    while ! "$emoxide" train "$recipe" "${data[@]}" --run-dir "$work/run" --quiet --set schedule.epochs=1 \
        --set run.max_steps=2 --set run.batch_size=2 --set run.accumulate=1 >"$work/log" 2>&1; do
        layout=$(sed -n 's/.*the recipe needs the data set `\([a-z0-9-]*\)`.*/\1/p' "$work/log")
        case " ${data[*]} " in *" ${layout:-none}="*) layout= ;; esac
        [ -n "$layout" ] || return 1
        [ -d "$work/$layout" ] || "$emoxide" data synth --layout "$layout" --out "$work/$layout" --per-class 4 >"$work/log" 2>&1 || return 1
        data+=(--data "$layout=$work/$layout")
    done
}

recipes=$(find recipes -name '*.toml' -not -path '*/base/*' | grep -F -- "$part" | sort) ||
    { echo "no recipe's path holds \`$part\`"; exit 1; }
good=0 bad=0
while read -r recipe; do
    begun=$(date +%s.%N)
    if two_steps "$recipe"; then state=OK good=$((good + 1)); else state=FAILED bad=$((bad + 1)); fi
    seconds=$(awk -v from="$begun" -v to="$(date +%s.%N)" 'BEGIN { printf "%.1f", to - from }')
    loss=$(sed -n 's/.*epoch *1 *loss \([0-9.]*\).*/\1/p' "$work/log")
    printf '%-60s %7s s  loss %-8s %s\n' "$recipe" "$seconds" "${loss:--}" "$state"
    # What a run says, up to its accuracy; all of it where it failed.
    if [ "$state" = OK ]; then sed 's/^/    /; /accuracy/q' "$work/log"; else sed 's/^/    /' "$work/log"; fi
    rm -rf "$work/run"
done <<<"$recipes"

echo "$good recipes trained, $bad failed"
[ "$bad" = 0 ]
