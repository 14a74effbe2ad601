#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Writes the files of the live page as a C source: they are served from memory, whatever a worker may open.
#
# usage: embed.sh FOLDER >live_files.c

set -eu
folder=$1

# file, name in the URL, media type; the page itself has no name
files='
index.html           -          text/html; charset=utf-8
live.css             live.css   text/css; charset=utf-8
live.js              live.js    text/javascript; charset=utf-8
uPlot.min.css        uplot.css  text/css; charset=utf-8
uPlot.iife.min.js    uplot.js   text/javascript; charset=utf-8
'

rows=$(printf '%s' "$files" | sed '/^$/d')

echo '/* SPDX-License-Identifier: BSD-2-Clause */'
echo '/* Made by share/live/embed.sh of the files beside it. */'
echo '#include "daemon/live.h"'
printf '%s\n' "$rows" | while read -r file _; do
    id=$(printf '%s' "$file" | tr -c 'A-Za-z0-9' _)
    printf '\nstatic const unsigned char file_%s[] = {\n' "$id"
    od -An -v -tu1 "$folder/$file" | sed 's/ *\([0-9][0-9]*\)/\1,/g'
    echo '};'
done
printf '\nconst struct http_live_part live_parts[] = {\n'
printf '%s\n' "$rows" | while read -r file name type; do
    id=$(printf '%s' "$file" | tr -c 'A-Za-z0-9' _)
    [ "$name" != - ] || name=
    printf '    { { "%s", sizeof "%s" - 1 }, { "%s", sizeof "%s" - 1 }, { (const char *)file_%s, sizeof file_%s } },\n' \
        "$name" "$name" "$type" "$type" "$id" "$id"
done
echo '};'
printf '\nconst unsigned live_part_count = sizeof live_parts / sizeof *live_parts;\n'
