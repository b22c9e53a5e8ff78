#!/bin/sh
# What a reader would stumble over: see CONTRIBUTING.md.
cd "${top_srcdir:?}" || exit 99
n=0 bad=0

check() { # name, offending lines
    n=$((n + 1))
    if [ -z "$2" ]; then
        echo "ok $n - $1"
    else
        echo "not ok $n - $1"
        echo "$2" | head -n 20 | sed 's/^/#   /'
        bad=1
    fi
}

code=$(find daemon kernels sql console tests -name '*.[ch]' | sort)
# shellcheck disable=SC2086
{
check "every file names its licence" "$(for f in $code; do
    head -n 1 "$f" | grep -q SPDX-License-Identifier || echo "$f"; done)"
check "config.h first in every .c" "$(for f in $code; do
    case $f in *.c) grep -m 1 '^#include' "$f" | grep -q '"config.h"' ||
        echo "$f" ;; esac; done)"
check "no line beyond 80 columns" "$(for f in $code; do
    expand -t 8 "$f" | awk -v f="$f" 'length($0) > 80 && !/http/ {
        print f ":" FNR ": " length($0) " columns" }'; done | head -n 20)"
check "no trailing white space" "$(grep -nE '[ 	]+$' $code)"
check "no function that can't be bounded" "$(grep -nE \
    '[^a-z_](strcpy|strcat|sprintf|atoi|atol|strtok|gets)[ ]*\(' $code)"
check "nothing unfinished" "$(grep -nE 'TODO|FIXME|(^|[^X])XXX([^X]|$)|not implemented' $code)"
check "tests that are scripts can be run" "$(find tests -name '*.t' \
    ! -perm -100)"
check "every test is run" "$(for f in tests/*/*.t tests/lint/*.sh \
    tests/kern/*.sh tests/*/test_*.c; do grep -qF "$(basename "$f")" \
    "$(dirname "$f")/Makefile.inc" || echo "$f"; done)"
check "no function over 100 lines" "$(for f in $code; do awk -v f="$f" '
    /^\{/ { s = FNR } /^\}/ { if (s && FNR - s > 100)
        print f ":" s ": " FNR - s " lines"; s = 0 }' "$f"; done)"
}
echo "1..$n"
exit $bad
