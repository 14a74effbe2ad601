#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# The rules of the house that a program can check: arrows between layers, purity, no mutable variables at file
# scope, sizes, no #if in functions, names of helpers, a complete map.  Reads the sources and the objects made of
# them.
#
# usage: tests/layers.sh [SOURCE-TREE [BUILD-TREE]]      (default: $srcdir or the tree it stands in; the current folder)

set -u
LC_ALL=C
export LC_ALL

source_tree=${1:-${srcdir:-$(dirname -- "$0")/..}}
build_tree=${2:-.}
nm=${NM:-nm}

scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM

# --- the rules, as data ---------------------------------------------------------------------------------------

# Which layers each layer may know.  "top" is src/*.c.
arrows='
base    base
core    base core
proto   base core proto
driver  base core driver
conf    base conf
daemon  base core proto driver conf daemon
ctl     base ctl
load    base core proto driver load
top     base core proto driver conf daemon ctl load
'

# Headers with few friends: header, then who may include it (beginnings of paths).
guarded='
core/conn_driver.h    src/core/ src/driver/
libconfig.h           src/conf/
jansson.h             src/daemon/command.c src/daemon/state_ src/daemon/status src/ctl/ src/iomuxctl.c src/load/load_report.c
liburing.h            src/driver/engine_uring.c
sys/epoll.h           src/driver/poller_epoll.c
systemd/              src/daemon/sysd.c
crypt.h               src/base/password.c
seccomp.h             src/daemon/filter.c
bsd/                  src/daemon/title.c
'

# What proto and core may call of the C library: nothing that reaches the kernel, except where a file is named below.
pure='
memchr memcmp memcpy memmem memmove mempcpy memrchr memset rawmemchr bcmp explicit_bzero
stpcpy strcasecmp strchr strchrnul strcmp strcpy strcspn strdup strlen strncasecmp strncmp strndup strnlen
strpbrk strrchr strspn strstr strtol strtoll strtoul strtoull
isalnum isalpha isdigit islower isspace isupper isxdigit tolower toupper __ctype_b_loc __ctype_tolower_loc
snprintf vsnprintf
malloc calloc realloc reallocarray free aligned_alloc
bsearch qsort abort __assert_fail __stack_chk_fail __errno_location
gmtime_r timegm strftime inet_ntop
_GLOBAL_OFFSET_TABLE_
'

# Files of core that may do more, each with what.
impure='
src/core/file.c       close fstat fstatat open pread preadv2
src/core/bypass.c     fcntl fstatfs statx
src/core/catalog.c    close closedir dirfd fdopendir fstat fstatat readdir
src/core/beneath.c    close fcntl fstat fstatat open openat syscall
src/core/verified.c   pthread_mutex_init pthread_mutex_lock pthread_mutex_unlock pthread_mutex_destroy
'

# Variables at file scope that may change, each with its file.
mutable='
src/base/log.c        log_target
src/daemon/signals.c  signal_pipe
src/daemon/crash.c    crash_scene
'

file_lines_max=600
function_lines_max=80
function_lines_p95=40

# --- what is written ------------------------------------------------------------------------------------------

cd "$source_tree" || exit 1
source_tree=$(pwd)
find src -type f -name '*.[ch]' | sort >"$scratch/sources"

# shellcheck disable=SC2046 # our own file names have no spaces
awk -v arrows="$arrows" -v guarded="$guarded" -v numbers="$scratch/numbers" \
    -v file_max="$file_lines_max" -v function_max="$function_lines_max" -v p95_max="$function_lines_p95" '
function complain(line, text) { printf "%s:%d: %s\n", FILENAME, line, text }

function layer_of(path,    part) { return split(path, part, "/") > 2 ? part[2] : "top" }

function known(name) { return name in layers }

function read_rules(    n, i, row, w, words) {
    n = split(arrows, row, "\n")
    for (i = 1; i <= n; i++)
        if ((words = split(row[i], w, " ")) > 0) {
            layers[w[1]] = 1
            for (; words > 1; words--) may_know[w[1], w[words]] = 1
        }
    n = split(guarded, row, "\n")
    for (i = 1; i <= n; i++)
        if (split(row[i], w, " ") > 0) guard[w[1]] = row[i]
}

function guard_allows(header,    words, w) {
    for (words = split(guard[header], w, " "); words > 1; words--)
        if (index(FILENAME, w[words]) == 1) return 1
    return 0
}

function check_include(line,    name, quoted, to, g) {
    quoted = line ~ /^[ \t]*#[ \t]*include[ \t]*"/
    name = line
    sub(/^[^"<]*["<]/, "", name)
    sub(/[">].*$/, "", name)
    if (quoted) {
        to = name
        sub(/\/.*$/, "", to)
        if (name !~ /^[a-z]+\/[a-z0-9_]+\.h$/ || !known(to))
            complain(FNR, "include \"" name "\": headers are named from src, \"layer/name.h\"")
        else if (!((layer, to) in may_know))
            complain(FNR, "include \"" name "\": " layer " must not know " to)
    }
    for (g in guard)
        if (index(name, g) == 1 && !guard_allows(g))
            complain(FNR, "include of " name ": it belongs to another file or layer")
}

# The name of a function from its head; attributes stand before it at most.
function name_in(head) {
    gsub(/__attribute__[ ]*\(\([^)]*(\([^)]*\))?[^)]*\)\)/, "", head)
    sub(/[ ]*\(.*$/, "", head)
    sub(/^.*[ *]/, "", head)
    return head
}

function end_function(    n) {
    n = FNR - head_line + 1
    lengths[n]++
    functions++
    if (n > longest) longest = n
    if (n > function_max)
        complain(head_line, "function " name ": " n " lines, at most " function_max)
    inside = 0
    head = ""
}

function begin_function() {
    if (head == "") {
        complain(FNR, "a lone { that no function head precedes")
        return
    }
    inside = 1
    name = name_in(head)
    where[name] = where[name] " " FILENAME ":" head_line
    if (head ~ /^static/) helper[name] = 1
}

function end_file() {
    if (file == "") return
    if (lines > file_max)
        printf "%s:%d: %d lines, a file has at most %d\n", file, lines, lines, file_max
    if (inside)
        printf "%s:%d: function %s does not end with a } of its own line\n", file, head_line, name
    all_lines += lines
}

FNR == 1 {
    if (!files++) read_rules()
    end_file()
    file = FILENAME
    layer = layer_of(FILENAME)
    inside = 0
    head = ""
    if (!known(layer)) complain(1, "folder " layer " is not a layer")
    if ($0 != "/* SPDX-License-Identifier: BSD-2-Clause */") complain(1, "the first line is not the SPDX line")
}

{ lines = FNR }

/^[ \t]*#[ \t]*include[ \t]*["<]/ { check_include($0) }

inside && /^[ \t]*#[ \t]*(if|ifdef|ifndef|elif|else)/ { complain(FNR, "#if inside function " name) }

inside && /^}/ { end_function(); next }
inside { next }

/^{/ { begin_function(); next }
/^[a-z_].*\)[ \t]*{/ { complain(FNR, "the brace that opens a function stands on a line of its own"); head = ""; next }
/^[ \t]*#/ || /^$/ || /;[ \t]*$/ || /^}/ || /^\/\*/ || /^ \*/ { head = ""; next }
head == "" && /^[a-zA-Z_]/ && /\(/ { head = $0; head_line = FNR }

# Two files of which configure picks one may share names: x.c and x_none.c.
function alternatives(a, b) {
    sub(/\.[ch]:.*$/, "", a)
    sub(/\.[ch]:.*$/, "", b)
    return a == b || a == b "_none" || b == a "_none"
}

END {
    end_file()
    for (name in helper) {
        n = split(where[name], place, " ")
        for (i = 2; i <= n; i++)
            if (!alternatives(place[1], place[i]))
                printf "%s: helper %s has a namesake at %s\n", place[i], name, place[1]
    }
    for (n = 1; n <= longest; n++) {
        seen += lengths[n]
        if (!median && seen * 2 >= functions) median = n
        if (!p95 && seen * 100 >= functions * 95) p95 = n
    }
    if (p95 > p95_max)
        printf "src: the 95th percentile of function lengths is %d lines, at most %d\n", p95, p95_max
    if (!functions)
        print "src: no function was found"
    printf "%d files, %d lines, %d functions (median %d lines, p95 %d, longest %d)\n",
        files, all_lines, functions, median, p95, longest >numbers
}' $(cat "$scratch/sources") >"$scratch/found" || exit 1

# Scripts and everything else that takes comments: SPDX in one of the first two lines.
find src tests bench etc man systemd share .ci bootstrap configure.ac Makefile.am -type f 2>/dev/null | sort |
while read -r file; do
    case $file in
        src/*.[ch]) continue ;;
        *.[ch] | *.py | *.sh | *.in | *.conf | *.[158] | *.ac | *.am | .ci/run | bootstrap | systemd/* | share/completion/*) ;;
        *) continue ;;
    esac
    case $file in */corpus/* | */seeds/*) continue ;; esac
    sed 2q "$file" | grep -q 'SPDX-License-Identifier: BSD-2-Clause' || echo "$file:1: no SPDX line"
done >>"$scratch/found"

# The map is complete.
while read -r file; do
    name=${file##*/}
    grep -qw -e "${name%.[ch]}" src/README || echo "$file:1: src/README does not say what it is for"
done <"$scratch/sources" >>"$scratch/found"

# --- what was built -------------------------------------------------------------------------------------------

cd "$OLDPWD" || exit 1
cd "$build_tree" || exit 1
while read -r file; do
    object=${file%.c}.o
    [ "$object" = "$file" ] || [ ! -e "$object" ] || echo "$object"
done <"$scratch/sources" >"$scratch/objects"

# shellcheck disable=SC2046
[ ! -s "$scratch/objects" ] || "$nm" -A -f sysv $(cat "$scratch/objects") >"$scratch/symbols" || exit 1

# Prints FILE, a space, SYMBOL, a space, then the complaint.
awk -F'|' -v arrows="$arrows" -v pure="$pure" -v impure="$impure" -v mutable="$mutable" -v numbers="$scratch/numbers" '
function trim(text) { gsub(/^ +| +$/, "", text); return text }

function layer_of(path,    part) { return split(path, part, "/") > 2 ? part[2] : "top" }

# Rows of "KEY WORD..." into set[KEY, WORD].
function read_rows(text, set,    n, i, row, w, words) {
    n = split(text, row, "\n")
    for (i = 1; i <= n; i++)
        for (words = split(row[i], w, " "); words > 1; words--) set[w[1], w[words]] = 1
}

# _FORTIFY_SOURCE and large files give other names to the same functions.
function plain(symbol) {
    if (symbol ~ /^__.*_chk$/ && symbol != "__stack_chk_fail") {
        sub(/^__/, "", symbol)
        sub(/_chk$/, "", symbol)
    }
    sub(/^__isoc(99|23)_/, "", symbol)
    sub(/64$/, "", symbol)
    return symbol
}

function of_instrumentation(symbol) {
    return symbol ~ /^_*(asan|ubsan|tsan|lsan|msan|sanitizer|sancov|odr_asan|llvm|gcov|start___sancov|stop___sancov)/
}

BEGIN {
    read_rows(arrows, may_know)
    read_rows(impure, extra)
    read_rows(mutable, excepted)
    n = split(pure, w, /[ \n]+/)
    for (i = 1; i <= n; i++) harmless[w[i]] = 1
}

NF >= 7 {
    at = index($1, ":")
    file = substr($1, 1, at - 1)
    sub(/\.o$/, ".c", file)
    symbol = trim(substr($1, at + 1))
    class = trim($3)
    section = trim($7)
    if (!(file in counted)) { counted[file] = 1; objects++; present[layer_of(file)] = 1 }
    if (of_instrumentation(symbol)) next
    if (class == "U" || class == "w") {
        wants[++wishes] = symbol
        wisher[wishes] = file
        next
    }
    if (class ~ /[A-Z]/) home[symbol] = layer_of(file)
    if (class ~ /^[bBdDC]$/ && section !~ /^\.data\.rel\.ro/) {
        bare = symbol
        sub(/\.[0-9]+$/, "", bare)
        if (!((file, bare) in excepted))
            print file, bare, "is a variable that may change and outlives its function"
    }
}

END {
    for (i = 1; i <= wishes; i++) {
        symbol = wants[i]
        file = wisher[i]
        from = layer_of(file)
        if (symbol in home) {
            if (!((from, home[symbol]) in may_know))
                print file, symbol, "is of " home[symbol] ", which " from " must not know"
        } else if ((from == "proto" || from == "core") &&
                   !(plain(symbol) in harmless) && !(symbol in harmless) && !((file, plain(symbol)) in extra))
            print file, plain(symbol), "is called, but " from " is pure (the list is in tests/layers.sh)"
    }
    split("base core proto driver conf daemon ctl load", all, " ")
    for (i = 1; i <= 8; i++)
        if (!(all[i] in present)) print "src/" all[i], "-", "has no objects here: build first"
    printf "%d objects\n", objects >>numbers
}' "$scratch/symbols" >"$scratch/symbols_found" 2>"$scratch/errors" || { cat "$scratch/errors" >&2; exit 1; }

while read -r file symbol text; do
    if [ "$symbol" = - ]; then
        echo "$file: $text"
    else
        line=$({ grep -nE -m 1 -e "(^|[^a-z_])$symbol *[(=[;]" "$source_tree/$file" ||
                 grep -nw -m 1 -e "$symbol" "$source_tree/$file"; } | cut -d: -f1)
        echo "$file:${line:-1}: $symbol $text"
    fi
done <"$scratch/symbols_found" >>"$scratch/found"

# --- the verdict ----------------------------------------------------------------------------------------------

read -r summary <"$scratch/numbers"
objects=$(sed -n 2p "$scratch/numbers")
violations=$(wc -l <"$scratch/found")
cat "$scratch/found"
echo "layers: $summary, ${objects:-0 objects}: $((violations)) violations"
[ "$violations" -eq 0 ]
