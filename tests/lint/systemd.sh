#!/bin/sh
# The units are what systemd understands, with our programs in their places.
cd "${top_srcdir:?}" || exit 99
if ! command -v systemd-analyze >/dev/null; then
    echo "1..0 # SKIP systemd-analyze is not installed"
    exit 0
fi
dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT
n=0 bad=0
sed 's|@sbindir@|/bin|; s|/bin/bigmodeld|/bin/true|; /^Documentation=/d' \
    deploy/systemd/bigmodeld.service.in >"$dir/bigmodeld.service"
sed '/^Documentation=/d' deploy/systemd/bigmodeld.socket >"$dir/bigmodeld.socket"
for unit in bigmodeld.service bigmodeld.socket; do
    n=$((n + 1))
    said=$(systemd-analyze verify --man=no "$dir/$unit" 2>&1 | grep -F "$unit")
    if [ -z "$said" ]; then
        echo "ok $n - $unit"
    else
        echo "not ok $n - $unit"
        echo "$said" | sed 's/^/#   /'
        bad=1
    fi
done
echo "1..$n"
exit $bad
