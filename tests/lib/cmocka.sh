#!/bin/sh
# Runs a test program and repairs its TAP: cmocka before 2.0 prints a skipped
# test as "not ok N # SKIP name", which harnesses count as a failure.  The
# program's exit status stays.
{
    status=$({ { "$@" 3>&- 4>&-; echo $? >&4; } |
        sed 's/^not ok \([0-9]*\) # SKIP \(.*\)/ok \1 - \2 # SKIP/' >&3
    } 4>&1)
} 3>&1
exit "$status"
