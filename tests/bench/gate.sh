#!/bin/sh
# How fast the gate is by itself, and how much memory the idle daemon needs:
#	tests/bench/gate.sh PREFIX [SECONDS]
# PREFIX is an installed tree (make install prefix=...).  The gate gets one
# core, the load generator (wrk) another.  Figures for a closing note or a
# commit message; nothing here passes or fails.
set -eu
prefix=$1
seconds=${2:-10}
state=$(mktemp -d)
export BIGMODEL_LIBEXECDIR="$prefix/libexec/bigmodel"
export BIGMODEL_DATADIR="$prefix/share/bigmodel"
"$prefix/sbin/bigmodeld" -F --state-dir "$state" --http 127.0.0.1:0 \
    2>"$state/log" &
daemon=$!
trap 'kill $daemon; wait $daemon; rm -rf "$state"' EXIT
ctl() { "$prefix/bin/bigmodelctl" --state-dir "$state" "$@"; }
ctl wait ready
url=http://$(ctl --json show status | jq -r .http)

rss_kb() { awk '/^VmRSS/ { print $2 }' "/proc/$1/status"; }
total=$(rss_kb $daemon)
printf 'idle memory: master %s KiB' "$total"
for name in gate reqlog; do
    pid=$(pgrep -P $daemon -x $name)
    kb=$(rss_kb "$pid")
    total=$((total + kb))
    printf ', %s %s KiB' $name "$kb"
done
echo ", together $total KiB"

gate=$(pgrep -P $daemon -x gate)
taskset -cp 0 "$gate" >/dev/null
cpu_ticks() { awk '{ print $14 + $15 }' "/proc/$gate/stat"; }
for connections in 1 16 64; do
    before=$(cpu_ticks)
    start=$(date +%s%N)
    rate=$(taskset -c 1 wrk -t 1 -c $connections -d "${seconds}s" \
        "$url/livez" | awk '/Requests\/sec/ { print $2 }')
    elapsed_ms=$((($(date +%s%N) - start) / 1000000))
    # Ticks are 10 ms: the share of its core that the gate really used.
    used=$((($(cpu_ticks) - before) * 1000 / elapsed_ms))
    echo "livez, $connections connections: $rate requests/s," \
        "the gate used $used % of a core"
done
