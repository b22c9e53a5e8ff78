#!/bin/sh
# Every option, key, command, error and verb of the tables is in its page.
cd "${top_srcdir:?}" || exit 99
n=0 bad=0

# Words (one a line on stdin) that the page lacks.
in_page() { # name, page
    n=$((n + 1))
    lacking=$(while read -r word; do
        grep -qF -e "$word" "$2" || echo "$word"
    done)
    if [ -z "$lacking" ]; then
        echo "ok $n - $1 in $2"
    else
        echo "not ok $n - $1 in $2"
        echo "$lacking" | sed 's/^/#   /'
        bad=1
    fi
}

# mdoc writes "show status" as "Cm show status", options as "Fl -name".
sed -n 's/^CMD([A-Z_]*, "\([^"]*\)".*/\1/p' daemon/wire/commands.def |
    in_page "every command" man/bigmodelctl.1
sed -n 's/^E([A-Z_]*,[[:space:]]*-[0-9]*, "\([a-z_]*\)".*/\1/p' \
    daemon/base/err.def | in_page "every error" man/bigmodel-protocol.7
sed -n 's/^K([a-z]*,[[:space:]]*\([a-z_]*\),.*/\1/p; s/^K[MT](\([a-z_]*\),.*/\1/p' \
    daemon/wire/conf.def | sort -u | in_page "every key" man/bigmodeld.conf.5
sed -n 's/.*{ "\([a-z-]*\)", [a-z]*_argument.*/\1/p' daemon/master/main.c |
    in_page "every option" man/bigmodeld.8
sed -n 's/.*{ "\([a-z-]*\)", [a-z]*_argument.*/\1/p' console/ctl_main.c |
    in_page "every option" man/bigmodelctl.1
echo "1..$n"
exit $bad
