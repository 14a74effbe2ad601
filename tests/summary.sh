#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What the test runners counted in a build folder: one line for each of them, for people and for .ci/run.
#
# usage: tests/summary.sh [BUILD-FOLDER]

cd "${1:-.}" || exit 1

find tests/unit tests/fake -name '*.log' -exec cat {} + 2>/dev/null | awk '
    /^[0-9]+%: Checks: [0-9]+, Failures: [0-9]+, Errors: [0-9]+/ {
        suites++
        checks += $3
        failures += $5
        errors += $7
    }
    END {
        share = checks ? int(100 * (checks - failures - errors) / checks) : 0
        printf "unit tests    %d%%: Checks: %d, Failures: %d, Errors: %d (%d programs)\n",
            share, checks, failures, errors, suites
    }'
[ ! -e tests/layers.log ] || printf 'house rules   %s\n' "$(sed -n 's/^layers: //p' tests/layers.log | tail -n 1)"

# What pytest counted: NAME LOG, if it is there.
pytest_line()
{
    [ -e "$2" ] || return 0
    counts=$(sed -n 's/^=* *\([0-9][0-9]* [a-z].* in [0-9.]*s\).*$/\1/p' "$2" | head -n 1)
    ! grep -q '^unsteady: ' "$2" || counts=$(echo "$counts" | sed 's/failed\|errors\{0,1\}/unsteady/g')
    printf '%-13s %s\n' "$1" "$counts"
    sed -n 's/^unsteady: /unsteady      /p' "$2"
}

pytest_line 'system tests' tests/matrix.log
pytest_line 'bench tests' tests/bench.log
