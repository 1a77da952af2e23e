#!/bin/bash
# mutants.sh BUILD [PATTERN]: plants each fault of tests/mutants.txt (those whose description contains PATTERN) in a
# copy of the sources, builds the one test program that must notice and runs it. Prints a line a fault; fails
# if one survives, if its text is not in its file exactly once, or if what it makes does not build.
#
# An entry: "FILE | PROGRAM FILTER | what", "tsan" before PROGRAM for the build under ThreadSanitizer; "HEADER in SOURCE"
# for FILE: of what includes it, only that one is compiled anew (sooner done); then the lines taken out ("-") and those put in ("+"); a blank line. Parts of lines will do.
set -u
cd "$(dirname "$0")/.." || exit 1
room=$1/mutants jobs=${JOBS:-$(nproc)} folders="core kernels nn train data include tests tools configs"
export GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-2000} OMP_NUM_THREADS=2
flags_plain=() flags_tsan=('OPT=-O1 -g' SAN=-fsanitize=thread)

build() { # build TREE KIND PROGRAM
    local -n flags=flags_$2
    (cd "$1" && env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make -s -j"$3" CUDA=0 "${flags[@]}" "build/tests/$4") 2>&1
}

judge() { # judge TREE PROGRAM FILTER: runs it in its tree
    (cd "$1" && timeout 120 "build/tests/$2" "$3" 2>&1 </dev/null)
}

# By whom: the tests that failed, or the fault that the emulator or a sanitizer reported.
noticed_by() {
    sed -nE 's/^\[  FAILED  \] ([a-z].*)/\1/p; s/^(cuemu: .*)/\1/p; s/^(SUMMARY: .*)/\1/p' | sed 's/(.*\/tests/(tests/' |
        awk '!seen[$0]++' | head -n 1 | cut -c 1-60
}

one() { # one NUMBER
    local entry=$room/list/$1 file in unit kind program filter what tree text from to log by
    IFS='|' read -r file program what <"$entry.head"
    read -r file in unit <<<"$file"
    read -r kind program filter <<<"$program"
    what=${what# }
    [ "$kind" = tsan ] || { filter=$program program=$kind kind=plain; }
    say() { printf '%-9s %3d  %-26s %-56s %s\n' "$1" "$2" "$file" "$what" "$3" | sed 's/ *$//'; [ "$1" = caught ]; }
    text=$(cat "$file" && echo .) from=$(cat "$entry.from") to=$(cat "$entry.to")
    [ "${text#*"$from"}" = "$text" ] && { say stale "$1" "not found in the file"; return; }
    local rest=${text#*"$from"}
    [ "${rest#*"$from"}" = "$rest" ] || { say stale "$1" "found more than once"; return; }
    tree=$room/work.$1
    rm -rf "$tree"
    cp -a "$room/$kind" "$tree"
    rm "$tree/$file"
    printf '%s' "${text%%"$from"*}$to${rest%.}" >"$tree/$file"
    [ -z "$unit" ] || find "$tree/build/cuemu" -name '*.o' ! -name "$unit.o" -exec touch {} +
    log=$(build "$tree" "$kind" 1 "$program") || { say broken "$1" "does not build: $(grep -m1 error <<<"$log")"; return; }
    log=$(judge "$tree" "$program" "$filter") && { rm -rf "$tree"; say SURVIVED "$1" "$program $filter"; return; }
    rm -rf "$tree"
    by=$(noticed_by <<<"$log")
    say caught "$1" "${by:-$program ended}"
}

if [ "${2:-}" = --one ]; then one "$3"; exit; fi

# ---- the list, one file a part ----
rm -rf "$room/list" "$room"/work.*
mkdir -p "$room/list"
awk -v to="$room/list/" '
    /^#/ || /^$/ { open = 0; next }
    /^-/ { print substr($0, 2) >(name ".from"); next }
    /^\+/ { print substr($0, 2) >(name ".to"); next }
    { name = to (++n); print >(name ".head"); printf "" >(name ".from"); printf "" >(name ".to") }' tests/mutants.txt
numbers=$(for i in $(ls "$room/list" | sed -n 's/\.head$//p' | sort -n); do grep -qF -- "${2:-|}" "$room/list/$i.head" && echo "$i"; done)
[ -n "$numbers" ] || { echo "mutants: no such fault: ${2:-}" >&2; exit 1; }
asked=$(for i in $numbers; do cut -d'|' -f2 "$room/list/$i.head"; done | sort -u)

# ---- the sources as they are must pass, or nothing is known by a failure ----
for kind in plain tsan; do
    programs=$(awk -v k=$kind '{ if ($1 == "tsan" && k == "tsan") print $2; if ($1 != "tsan" && k == "plain") print $1 }' <<<"$asked" | sort -u)
    [ -n "$programs" ] || continue
    mkdir -p "$room/$kind"
    (cd "$room/$kind" && rm -rf $folders Makefile)
    cp -a $folders Makefile "$room/$kind/"
    for p in $programs; do
        build "$room/$kind" $kind "$jobs" "$p" >"$room/log" || { cat "$room/log" >&2; exit 1; }
    done
done
while read -r kind program filter; do
    [ "$kind" = tsan ] || { filter=$program program=$kind kind=plain; }
    judge "$room/$kind" "$program" "$filter" >"$room/log" ||
        { cat "$room/log" >&2; echo "mutants: $program $filter fails without any fault" >&2; exit 1; }
    grep -qE '^\[==========\] [1-9][0-9]* test' "$room/log" || { echo "mutants: $program $filter: no such test" >&2; exit 1; }
done <<<"$asked"

start=$SECONDS
printf '%s\n' $numbers | xargs -P "$jobs" -n 1 "$0" "$1" --one | tee "$room/table"
bad=$(grep -cv '^caught' "$room/table")
echo "$(wc -l <<<"$numbers") faults, $(grep -c '^caught' "$room/table") caught, $bad not, $((SECONDS - start)) s"
[ "$bad" -eq 0 ] && [ "$(wc -l <"$room/table")" -eq "$(wc -l <<<"$numbers")" ]
