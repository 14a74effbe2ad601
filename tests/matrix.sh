#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Runs pytest over the system tests in the current build folder; all output goes to tests/matrix.log too.  With SUITE=bench
# the tests are others (Makefile.am), and the log is tests/bench.log.
#
# A test that fails fails the run.  But where thousands of tests run side by side for hours on machines that others use
# as well, one of them loses a race with the machine now and then, and nothing is learnt from a whole run that it throws
# away.  So SECOND_CHANCE=N, which .ci/run sets, has up to N tests that failed asked once more, alone.  Who passes then is
# named as unsteady, in the counts too, with all that the first failure said: somebody has to find out why.  More than N
# that fail, one that fails twice, and whatever a sanitizer has to say, fail the run as ever.
#
# usage: tests/matrix.sh PYTEST [ARGUMENT]...       (PYTEST is a command, as one word)

chance=${SECOND_CHANCE:-0}
pytest=$1
shift
suite=${SUITE:-matrix}
log=tests/$suite.log
cache=$PWD/tests/$suite.cache

# ask ARGUMENT...: returns pytest's status; the output is shown and kept.
ask()
{
    # shellcheck disable=SC2086 # the command is a list of words
    { $pytest -q -o "cache_dir=$cache" "$@"; echo $? >"tests/$suite.status"; } 2>&1 | tee -a "$log"
    return "$(cat "tests/$suite.status")"
}

# The tests that failed, one in a line.
failed()
{
    sed -n -e 's/ - .*//' -e 's/^FAILED //p' -e 's/^ERROR //p' "$log" | sort -u
}

rm -rf "$log" "$cache"
ask "$@"
status=$?
if [ "$status" -eq 1 ] && [ "$(failed | wc -l)" -le "$chance" ] && ! grep -q 'Sanitizer\|runtime error:' "$log"; then
    unsteady=$(failed)
    printf '\nasked once more, alone:\n%s\n\n' "$unsteady" | tee -a "$log"
    ask "$@" -n 0 --lf --lfnf none
    status=$?
    [ "$status" -ne 0 ] || printf '%s\n' "$unsteady" | sed 's/^/unsteady: /' | tee -a "$log"
fi
rm -rf "$cache"
exit "$status"
