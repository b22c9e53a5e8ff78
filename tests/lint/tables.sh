#!/bin/sh
# Every option, key, command, error and message of the tables is in its page.
cd "${top_srcdir:?}" || exit 99
n=0 bad=0

in_page() { # name, page, words
    n=$((n + 1))
    lacking=$(echo "$3" | while read -r word; do
        grep -qF -e "$word" "$2" || echo "$word"
    done)
    if [ -n "$3" ] && [ -z "$lacking" ]; then
        echo "ok $n - $1 in $2"
    else
        echo "not ok $n - $1 in $2"
        echo "${lacking:-the table is empty}" | sed 's/^/#   /'
        bad=1
    fi
}

# The names in a table of struct option.
option='s/.*{ "\([a-z-]*\)", [a-z]*_argument.*/\1/p'

in_page "every command" man/bigmodelctl.1 \
    "$(sed -n 's/^CMD([A-Z_]*, "\([^"]*\)".*/\1/p' daemon/wire/commands.def)"
in_page "every error" man/bigmodel-protocol.7 "$(sed -n \
    's/^E([A-Z_]*,[[:space:]]*-[0-9]*, "\([a-z_]*\)".*/\1/p' \
    daemon/base/err.def)"
in_page "every key" man/bigmodeld.conf.5 "$(sed -n \
    's/^K([a-z]*,[[:space:]]*\([a-z_]*\),.*/\1/p
    s/^K[MT](\([a-z_]*\),.*/\1/p' daemon/wire/conf.def | sort -u)"
in_page "every option" man/bigmodeld.8 \
    "$(sed -n "$option" daemon/master/options.c)"
in_page "every option" man/bigmodelctl.1 "$(sed -n \
    's/^OPTION([A-Z_]*, "\([a-z-]*\)".*/-\1/p' console/options.def)"
in_page "every tensor type" console/words.c "$(sed -n \
    's/^T([A-Z0-9_]*,[[:space:]]*[0-9]*,[[:space:]]*\("[A-Z0-9_]*"\).*/\1/p' \
    kernels/types.def)"

# What the page has of the screen's keys is what keys.awk makes of the table.
n=$((n + 1))
made=$(awk -f man/keys.awk console/tui/keys.def)
has=$(sed '1,/made by keys.awk/d; /end of what keys.awk made/,$d' \
    man/bigmodelctl.1)
if [ -n "$made" ] && [ "$made" = "$has" ]; then
    echo "ok $n - the keys of the screen in man/bigmodelctl.1"
else
    echo "not ok $n - the keys of the screen in man/bigmodelctl.1"
    bad=1
fi
echo "1..$n"
exit $bad
