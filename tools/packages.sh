#!/bin/sh
# Installs what packages.txt names for the given purposes and is missing:
#	tools/packages.sh build test
set -eu
list=$(dirname "$0")/../packages.txt
missing=
for purpose in "$@"; do
    for package in $(sed -n "s/^$purpose //p" "$list"); do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null |
            grep -q 'ok installed' && continue
        # A program installed by other means than a package will do as well.
        case $package in
        nodejs) command -v node >/dev/null && continue ;;
        npm | python3 | curl | jq | gcc | clang | make)
            command -v "$package" >/dev/null && continue ;;
        esac
        missing="$missing $package"
    done
done
[ -n "$missing" ] || exit 0
echo "installing:$missing" >&2
if ! command -v apt-get >/dev/null; then
    echo "this is no Debian machine; install these by hand:$missing" >&2
    exit 1
fi
sudo=
[ "$(id -u)" -eq 0 ] || sudo=sudo
# Another apt may be at work on a machine that has just started.
wait="-o DPkg::Lock::Timeout=300"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086
if ! $sudo apt-get $wait install -y -qq --no-install-recommends $missing \
    >/dev/null 2>&1; then
    $sudo apt-get $wait update -qq
    $sudo apt-get $wait install -y -qq --no-install-recommends $missing \
        >/dev/null
fi
