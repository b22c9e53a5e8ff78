#!/bin/sh
# Tokens a second and time to the first token over HTTP, streamed:
#	tests/bench/serve.sh PREFIX MODEL [STREAMS] [TOKENS] [SECONDS]
# PREFIX is an installed tree (make install prefix=...).  Load comes from wrk,
# times from the daemon's own log.  Figures only; nothing passes or fails.
set -eu
prefix=$1
model=$2
streams=${3:-16}
tokens=${4:-64}
seconds=${5:-10}
state=$(mktemp -d)
export BIGMODEL_LIBEXECDIR="$prefix/libexec/bigmodel"
export BIGMODEL_DATADIR="$prefix/share/bigmodel"
cat >"$state/ask.lua" <<END
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local n = 0
function request()
    n = n + 1
    return wrk.format(nil, "/v1/completions", nil, string.format(
        '{"prompt":"Once upon a time there were %d","max_tokens":$tokens,' ..
        '"ignore_eos":true,"stream":true,"seed":%d}', n, n))
end
END
cat >"$state/conf" <<END
listen { http = "127.0.0.1:0" }
model bench { path = "$model" parallel = $streams }
END
"$prefix/sbin/bigmodeld" -F -f "$state/conf" --state-dir "$state/run" \
    2>"$state/log" &
daemon=$!
trap 'kill $daemon; wait $daemon; rm -rf "$state"' EXIT
ctl() { "$prefix/bin/bigmodelctl" --state-dir "$state/run" "$@"; }
ctl wait ready
url=http://$(ctl --json show status | jq -r .http)
wrk -t 1 -c "$streams" -d "${seconds}s" --timeout 60s -s "$state/ask.lua" \
    "$url/" >"$state/wrk"
sleep 1
ctl --json sql "SELECT count(*) AS requests,
    sum(completion_tokens) * 1000.0 / (max(finished_at) - min(started_at))
        AS tokens_per_s
    FROM requests WHERE status = 'ok'" |
    jq -r '.[0] | "\(.requests) requests, \(.tokens_per_s | round) tokens/s"'
for p in 50 95 99; do
    ctl --json sql "SELECT ttft_ms FROM requests WHERE status = 'ok'
        ORDER BY ttft_ms LIMIT 1 OFFSET (SELECT count(*) * $p / 100
        FROM requests WHERE status = 'ok')" |
        jq -r ".[0] | \"first token p$p: \(.ttft_ms * 10 | round / 10) ms\""
done
