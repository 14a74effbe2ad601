#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Is the distribution whole?  Everything that git keeps is in the folder that becomes the tarball, and nothing else but
# what the autotools make.  `make dist` runs it; in a tree without git, as an unpacked tarball is, there is nothing to
# compare with.
#
# usage: tests/dist.sh SOURCE-TREE DISTRIBUTION-FOLDER

set -u
export LC_ALL=C

# A pattern of grep -E for whole paths.
made='aclocal\.m4|config\.h\.in|configure|Makefile\.in|build-aux/.*'

[ -e "$1/.git" ] && command -v git >/dev/null || exit 0

lists=$(mktemp -d) || exit 1
trap 'rm -rf "$lists"' EXIT
# The tree may be another user's, who is believed as much as his Makefile.
git -c safe.directory="$(cd "$1" && pwd)" -C "$1" -c core.quotePath=off ls-files >"$lists/kept" || exit 1
sort -o "$lists/kept" "$lists/kept"
(cd "$2" && find . ! -type d) | sed 's|^\./||' | grep -vxE "$made" | sort >"$lists/there"
[ -s "$lists/kept" ] || { echo "git knows no file in $1" >&2; exit 1; }

comm -23 "$lists/kept" "$lists/there" | sed 's|^|not in the distribution, see EXTRA_DIST in Makefile.am: |' >"$lists/wrong"
comm -13 "$lists/kept" "$lists/there" | sed 's|^|in the distribution, but not in git: |' >>"$lists/wrong"
cat "$lists/wrong" >&2
[ ! -s "$lists/wrong" ]
