#!/bin/bash
# Installs what is missing, builds, runs every test; the last line is
# "N passed, N failed, N skipped".
#
#   ./check.sh             everything
#   ./check.sh plain       only the normal build and its tests
#   ./check.sh sanitized   only the build with ASan and UBSan and its tests
#   ./check.sh clang       only that clang builds without a warning
set -u
top=$(cd "$(dirname "$0")" && pwd)
work=${CHECK_DIR:-$top/.check}
parts=${*:-plain sanitized clang}
jobs=$(nproc)
passed=0 failed=0 skipped=0

say() { printf '\n== %s\n' "$*"; }

# A step that is no test of its own counts as one.
step() {
    local name=$1
    shift
    if "$@" >"$work/$name.log" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $name"
        tail -n 40 "$work/$name.log"
        return 1
    fi
}

configure() { # folder, configure's arguments...
    local dir=$work/$1
    shift
    mkdir -p "$dir" && cd "$dir" && "$top/configure" --enable-developer \
        --prefix=/usr/local "$@"
}

build() { # folder
    cd "$work/$1" && make -j"$jobs" && make -j"$jobs" check TESTS=
}

# Run make check in a folder and add up what the tests said.
tests() { # folder, variables for make...
    local dir=$work/$1 log=$work/$1.check.log counts
    shift
    (cd "$dir" && make -j"$jobs" check "$@") >"$log" 2>&1
    grep -E '^(FAIL|ERROR|XPASS):' "$log"
    grep -E '^SKIP:' "$log" | sort | uniq -c | sort -rn | head -n 20
    for word in PASS FAIL ERROR XPASS XFAIL SKIP; do
        counts=$(sed -n "s/^# $word: *//p" "$log" | tail -n 1)
        case $word in
        PASS | XFAIL) passed=$((passed + ${counts:-0})) ;;
        SKIP) skipped=$((skipped + ${counts:-0})) ;;
        *) failed=$((failed + ${counts:-0})) ;;
        esac
    done
    if ! grep -q '^# PASS:' "$log"; then
        failed=$((failed + 1))
        echo "FAILED: make check in $dir did not come to its end"
        tail -n 40 "$log"
    fi
    grep -lE '^(not ok|Bail out|ERROR)' "$dir"/tests/*/*.log 2>/dev/null |
        while read -r file; do
            case $file in */tests/*.log) ;; *) continue ;; esac
            echo "--- $(basename "$file")"
            grep -vE '^ok ' "$file" | tail -n 40
        done
}

plain() {
    say "build (gcc, warnings are errors) and test"
    step configure-plain configure plain CFLAGS='-O2 -g' || return
    step build-plain build plain || return
    tests plain
}

sanitized() {
    say "build with AddressSanitizer and UndefinedBehaviorSanitizer, test"
    step configure-sanitized configure sanitized --enable-asan --enable-ubsan \
        CFLAGS='-O1 -g' || return
    step build-sanitized build sanitized || return
    tests sanitized BM_SANITIZED=1
}

clang() {
    say "build with clang and libFuzzer"
    step configure-clang configure clang --enable-fuzzing --enable-asan \
        CC=clang CFLAGS='-O1' || return
    step build-clang build clang || return
    step fuzz-clang "$top/tests/fuzz/run.sh" "$work/clang" 5
}

mkdir -p "$work" || exit 1
"$top/tools/packages.sh" build test || exit 1
cd "$top" || exit 1
step autogen ./autogen.sh || parts=
for part in $parts; do
    case $part in
    plain | sanitized | clang) "$part" ;;
    *)
        echo "check.sh: no part \"$part\"" >&2
        exit 2
        ;;
    esac
done
echo
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
