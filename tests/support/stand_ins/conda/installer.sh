#!/bin/sh
# Behaves as the installers of Miniconda and Miniforge do, in the ways that the project relies on.
set -eu
case "$0" in *.sh) ;; *) echo "ERROR: this file's name has to end in .sh" >&2; exit 1 ;; esac
batch='' prefix=''
while getopts bp: option; do
    case "$option" in
        b) batch=yes ;;
        p) prefix=$OPTARG ;;
        *) exit 1 ;;
    esac
done
[ -n "$batch" ] || { echo "ERROR: no one can accept the licence in a batch run" >&2; exit 1; }
[ -n "$prefix" ] || { echo "ERROR: no prefix" >&2; exit 1; }
[ ! -e "$prefix" ] || { echo "ERROR: File or directory already exists: '$prefix'" >&2; exit 1; }
mkdir -p "$prefix" "$HOME/.conda"
echo "Unpacking payload ..."
start=$(($(grep -abm 1 '^__PAYLOAD__$' "$0" | cut -d: -f1) + 13))
tail -c "+$start" "$0" | tar --extract --ignore-zeros --no-same-owner --directory "$prefix"
. "$prefix/quirk"
mkdir "$prefix/envs"
echo "$prefix" >>"$HOME/.conda/environments.txt"
echo "installation finished."
exit 0
__PAYLOAD__
