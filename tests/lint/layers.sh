#!/bin/sh
# The layers of DESIGN.md section 3, as greps: who may include whom, and which
# file may see which library.
cd "${top_srcdir:?}" || exit 99
n=0 bad=0

check() { # name, offending lines
    n=$((n + 1))
    if [ -z "$2" ]; then
        echo "ok $n - $1"
    else
        echo "not ok $n - $1"
        echo "$2" | sed 's/^/#   /'
        bad=1
    fi
}

# Includes of ours in a folder that name another folder than those allowed.
layer() { # folder, allowed...
    folder=$1
    shift
    allowed=$(echo "$*" | tr ' ' '|')
    check "$folder includes only: $*" "$(grep -rnE '^#include "' \
        --include='*.[ch]' "$folder" |
        grep -vE "#include \"(config\.h|($allowed)/[^\"]*)\"")"
}

layer daemon/base base
layer daemon/wire base wire
layer daemon/master base wire master
layer daemon/gate base wire gate
layer daemon/reqlog base wire sql reqlog
layer daemon/model base kernels model
layer daemon/worker base wire kernels model worker
layer kernels base kernels
layer sql base sql
layer console base wire console

# A library's header and the only files that may include it.
only() { # header, pattern of allowed files
    check "<$1> only in $2" "$(grep -rnE "^#include <$1>" --include='*.[ch]' \
        daemon kernels sql console | grep -vE "^($2)")"
}

only 'sqlite3\.h' 'sql/|daemon/reqlog/'
only 'cblas\.h' 'kernels/'
only '[a-z0-9]*mmintrin\.h' 'kernels/'
only '(immintrin|arm_neon|cpuid)\.h' 'kernels/'
only 'curses\.h' 'console/tui/paint\.c'
only 'readline/.*' 'console/(line|complete)\.c'
only 'ev\.h' '[a-z/]*[a-z_]*_(main|io)\.[ch]'
only 'microhttpd\.h' 'daemon/gate/'
only 'confuse\.h' 'daemon/master/'
echo "1..$n"
exit $bad
