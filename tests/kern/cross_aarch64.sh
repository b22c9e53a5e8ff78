#!/bin/sh
# The engine for AArch64: it is cross-compiled without a warning, and each level
# of its kernels is checked by an emulator of a CPU that has that level and
# nothing above it.
: "${top_srcdir:?}" "${top_builddir:?}"
host=aarch64-linux-gnu
dir=$top_builddir/cross-aarch64
unset MAKEFLAGS MFLAGS MAKELEVEL CFLAGS CC LDFLAGS
n=0 bad=0

skip() { # reason
    echo "1..0 # SKIP $1"
    exit 0
}

# Run a command as one test; what it said, should it fail.
check() { # name, command...
    name=$1
    shift
    n=$((n + 1))
    if "$@" >"$dir/$n.out" 2>&1; then
        echo "ok $n - $name"
    else
        echo "not ok $n - $name"
        grep -vE '^ok ' "$dir/$n.out" | tail -n 20 | sed 's/^/#   /'
        bad=1
    fi
}

build() {
    cd "$dir" || return
    # LDFLAGS: the emulator then needs no foreign libraries
    [ -f Makefile ] || "$top_srcdir/configure" --host=$host \
        --enable-engine-only --enable-developer \
        CFLAGS='-O2' LDFLAGS=-static || return
    make -s -j2 check TESTS=
}

on() { # cpu, program, arguments...
    cpu=$1
    shift
    (cd "$dir/tests" && timeout 120 qemu-aarch64 -cpu "$cpu" "$@")
}

# The level runs, and something of it was tried.
level() { # cpu, level
    said=$(on "$1" kern/checkkern --quick --cpu="$2")
    status=$?
    echo "$said"
    [ $status -eq 0 ] && echo "$said" | grep -q "^ok [0-9]* - $2 panel Q4_0$"
}

no_spills() {
    top_builddir=$dir "$top_srcdir/tests/kern/spills.t"
}

refused() { # cpu, level
    on "$1" kern/checkkern --quick --cpu="$2" | tee /dev/stderr |
        grep -q "^ok 1 - $2 # SKIP this CPU or system lacks"
}

[ "$BM_SANITIZED" != 1 ] || skip "the sanitizers are not for foreign programs"
command -v $host-gcc >/dev/null || skip "no $host-gcc"
command -v qemu-aarch64 >/dev/null || skip "no qemu-aarch64"
[ ! -f "$top_srcdir/config.status" ] ||
    skip "another build can't be where the source tree itself is configured"
mkdir -p "$dir" || exit 99

check "builds without a warning" build
[ $bad -eq 0 ] || {
    echo "1..$n"
    exit 1
}
check "no stack traffic in the loops" no_spills
check "neon on a Cortex-A53" level cortex-a53 neon
check "dotprod on a Neoverse N1" level neoverse-n1 dotprod
check "i8mm" level max i8mm
check "no dotprod on a Cortex-A53" refused cortex-a53 dotprod
check "no i8mm on a Neoverse N1" refused neoverse-n1 i8mm
for program in test_dispatch test_pool test_quantize test_unpack; do
    check "$program" on max kern/$program
done
echo "1..$n"
exit $bad
