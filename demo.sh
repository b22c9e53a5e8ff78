#!/bin/sh
# From nothing to an answer: installs what is missing, builds, starts a daemon
# in a private directory with the shipped model, asks it through HTTP and the
# line protocol, shows its state and its log, and stops it.
set -eu
top=$(cd "$(dirname "$0")" && pwd)
work=$top/.demo
prefix=$work/installed
state=$(mktemp -d "${TMPDIR:-/tmp}/bigmodel-demo.XXXXXX")
daemon=

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] && [ -z "${NO_COLOR:-}" ] || say() { printf '\n%s\n' "$*"; }

finish() {
    [ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true
    [ -z "$daemon" ] || wait "$daemon" || true
    rm -rf "$state"
}
trap finish EXIT
trap 'exit 1' INT TERM

say "1. packages"
"$top/tools/packages.sh" build demo
echo "all there"

say "2. build (log: .demo/build.log)"
mkdir -p "$work"
(
    cd "$top"
    [ -x configure ] && [ configure -nt configure.ac ] || ./autogen.sh
    mkdir -p "$work/build"
    cd "$work/build"
    [ -f Makefile ] || "$top/configure" --prefix="$prefix"
    make -j"$(nproc)"
    make install
) >"$work/build.log" 2>&1 || {
    tail -n 30 "$work/build.log"
    exit 1
}
echo "installed under .demo/installed"
ctl() { "$prefix/bin/bigmodelctl" --state-dir "$state" "$@"; }

say "3. start: bigmodeld --foreground --state-dir ... --http 127.0.0.1:0"
"$prefix/sbin/bigmodeld" --foreground --state-dir "$state" \
    --http 127.0.0.1:0 &
daemon=$!
ctl wait ready --timeout 60
url=http://$(ctl --json show status | jq -r .http)
echo "ready at $url"

say "4. HTTP, streamed: POST $url/v1/completions"
curl -sSN "$url/v1/completions" -H 'Content-Type: application/json' \
    -d '{"model":"tale","prompt":"Once upon a time","max_tokens":90,
         "temperature":0.7,"seed":1,"stream":true}' |
    sed -un 's/^data: //p' | grep --line-buffered -v '^\[DONE\]' |
    jq -j --unbuffered '.choices[0].text'
echo

say "5. the line protocol: nc -U client.sock"
line='generate model=tale max_tokens=16 temperature=0 stream=yes id=a prompt="Once upon a time"'
echo "> $line"
echo "$line" | nc -N -U "$state/client.sock" | sed 's/^/< /'

say "6. bigmodelctl show status"
ctl show status

say "7. the rows of the request log: bigmodelctl log"
# A row is written within 50 ms of the answer's end.
tries=0
while [ "$(ctl --json log | jq length)" -lt 2 ] && [ $tries -lt 50 ]; do
    tries=$((tries + 1))
    sleep 0.1
done
ctl --headers log
echo
ctl --headers sql "SELECT protocol, endpoint, completion_tokens AS tokens,
    round(ttft_ms, 1) AS first_ms, round(decode_ms, 1) AS decode_ms,
    substr(output, 1, 30) AS output FROM requests"

say "8. stop"
ctl -y stop
wait "$daemon" && echo "the daemon has ended with status 0"
daemon=
