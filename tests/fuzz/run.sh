#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Runs one fuzz target for some seconds on its seeds and on what earlier runs found.  New inputs stay in the build
# folder, the source tree is only read.  A finding ends with a status other than 0 and leaves its input behind.
#
# usage: tests/fuzz/run.sh TARGET SOURCE-TREE SECONDS      (in a build folder configured with --enable-fuzzers)

set -u
target=$1
seeds=$2/tests/fuzz/corpus_${target##*fuzz_}
found=tests/fuzz/found_${target##*fuzz_}
dictionary=$2/tests/fuzz/${target##*/}.dict
[ "${target##*/}" != fuzz_head ] || dictionary=$2/tests/fuzz/fuzz_http.dict

[ -d "$seeds" ] || { echo "$target: no seed corpus $seeds" >&2; exit 1; }
mkdir -p "$found" || exit 1
set -- "-max_total_time=$3" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 -verbosity=1 \
    "-artifact_prefix=$found-" "$found" "$seeds"
[ ! -e "$dictionary" ] || set -- "-dict=$dictionary" "$@"
exec "./$target" "$@"
