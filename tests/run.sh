#!/bin/bash
# run.sh BUILD PROGRAM...: runs cmocka programs, JOBS at a time (one a core), shows the output of those that fail, and
# ends with totals: ours in one line, and cmocka's own closing lines summed over all programs.
build=$1
shift
export GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-2000} # threads that wait do not spin for long: see tools/kin.c

# The number in cmocka's closing lines of that kind, summed over a log.
count() { sed -n "s/^\[$2\] \([0-9]*\) test(s).*/\1/p" "$1" | awk '{ n += $1 } END { print n + 0 }'; }

# Lines of different programs do not mix: each says all it has in one piece.
one() {
    local name log t=$SECONDS rc r s f
    name=$(basename "$1") log=$build/logs/$name.log
    timeout "${KIN_TEST_SECONDS:-600}" "$1" >"$log" 2>&1 </dev/null
    rc=$?
    r=$(count "$log" '==========') s=$(count "$log" '  SKIPPED ') f=$(count "$log" '  FAILED  ')
    if [ $rc -eq 0 ] && [ "$r" -gt 0 ]; then
        [ "$s" -gt 0 ] && s=", $s skipped" || s=""
        printf 'ok      %-28s %4d tests%s  %3d s\n' "$name" "$r" "$s" $((SECONDS - t))
        echo 0 >"$log.broken"
        return
    fi
    # A crash, a sanitizer's report or a time-out fails no single test, but the program.
    [ "$f" -gt 0 ]
    echo $? >"$log.broken"
    printf 'FAILED  %-28s exit %d; its output:\n%s\n' "$name" $rc "$(
        # Without the tests that passed: each is a RUN line and an OK line.
        awk '/^\[ RUN / { run = $0; next } /^\[       OK / { run = ""; next }
             run != "" { print run; run = "" } { print } END { if (run != "") print run }' "$log" |
            tail -n 60 | sed 's/^/    /'
    )"
}

if [ "$1" = --one ]; then one "$2"; exit 0; fi

mkdir -p "$build/logs"
start=$SECONDS programs=$# ran=0 passed=0 skipped=0 failed=0 broken=0
# Those on the emulated GPU take longest: they begin.
printf '%s\n' "$@" | awk '/cuda/ { print; next } { rest = rest $0 "\n" } END { printf "%s", rest }' |
    xargs -P "${JOBS:-$(nproc)}" -n 1 "$0" "$build" --one
for program in "$@"; do
    log=$build/logs/$(basename "$program").log
    ran=$((ran + $(count "$log" '=========='))) passed=$((passed + $(count "$log" '  PASSED  ')))
    skipped=$((skipped + $(count "$log" '  SKIPPED '))) failed=$((failed + $(count "$log" '  FAILED  ')))
    broken=$((broken + $(cat "$log.broken" || echo 1)))
done
failed=$((failed + broken))
echo "$programs test programs, $ran tests, $skipped skipped, $failed failed, $((SECONDS - start)) s"
echo "[==========] $((ran + broken)) test(s) run."
echo "[  PASSED  ] $passed test(s)."
[ $skipped -gt 0 ] && echo "[  SKIPPED ] $skipped test(s)."
[ $failed -gt 0 ] && echo "[  FAILED  ] $failed test(s)."
[ $failed -eq 0 ] && [ $programs -gt 0 ]
