#!/bin/sh
# Runs every fuzz target of a build made with --enable-fuzzing for some seconds
# each, starting from its corpus:
#	tests/fuzz/run.sh BUILD [SECONDS]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$1
seconds=${2:-60}
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
cd "$build"
for target in tests/fuzz/fuzz_*; do
    [ -f "$target" ] && [ -x "$target" ] || continue
    name=${target##*/fuzz_}
    corpus=$here/corpus/$name
    dict=
    [ -f "$here/$name.dict" ] && dict="-dict=$here/$name.dict"
    mkdir -p "$new/$name"
    echo "== $name"
    # shellcheck disable=SC2086
    if ! "$target" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=20 \
        -print_final_stats=1 $dict "$new/$name" "$corpus" \
        >"$new/log" 2>&1; then
        tail -n 60 "$new/log"
        echo "$name: a finding; its input is written beside where this ran"
        exit 1
    fi
    grep 'stat::number_of_executed_units' "$new/log"
done
