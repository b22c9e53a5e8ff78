#!/bin/sh
# The manual pages are clean mdoc.
cd "${top_srcdir:?}" || exit 99
if ! command -v mandoc >/dev/null; then
    echo "1..0 # SKIP mandoc is not installed"
    exit 0
fi
n=0 bad=0
for page in man/*.[0-9]; do
    n=$((n + 1))
    said=$(mandoc -T lint -W warning "$page" 2>&1)
    if [ -z "$said" ]; then
        echo "ok $n - $page"
    else
        echo "not ok $n - $page"
        echo "$said" | sed 's/^/#   /'
        bad=1
    fi
done
echo "1..$n"
exit $bad
