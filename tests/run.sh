#!/bin/bash
# run.sh BUILD PROGRAM...: runs cmocka programs one after another, shows the output of those that fail, and
# ends with totals: ours in one line, and cmocka's own closing lines summed over all programs.
build=$1
shift
export GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-2000} # threads that wait do not spin for long: see tools/kin.c
mkdir -p "$build/logs"
programs=0 ran=0 passed=0 skipped=0 failed=0 broken=0
start=$SECONDS
count() { sed -n "s/^\[$1\] \([0-9]*\) test(s).*/\1/p" "$log" | awk '{ n += $1 } END { print n + 0 }'; }
for program in "$@"; do
    name=$(basename "$program")
    log=$build/logs/$name.log
    t=$SECONDS
    timeout "${KIN_TEST_SECONDS:-600}" "$program" >"$log" 2>&1 </dev/null
    rc=$?
    r=$(sed -n 's/^\[==========\] \([0-9]*\) test(s) run.*/\1/p' "$log" | awk '{ n += $1 } END { print n + 0 }')
    p=$(count '  PASSED  ') s=$(count '  SKIPPED ') f=$(count '  FAILED  ')
    programs=$((programs + 1)) ran=$((ran + r)) passed=$((passed + p)) skipped=$((skipped + s))
    failed=$((failed + f))
    if [ $rc -eq 0 ] && [ "$r" -gt 0 ]; then
        printf 'ok      %-28s %4d tests' "$name" "$r"
        [ "$s" -gt 0 ] && printf ', %d skipped' "$s"
        printf '  %3d s\n' $((SECONDS - t))
    else
        # A crash, a sanitizer's report or a time-out fails no single test, but the program.
        if [ "$f" -eq 0 ]; then broken=$((broken + 1)) failed=$((failed + 1)); fi
        printf 'FAILED  %-28s exit %d; its output:\n' "$name" $rc
        # Without the tests that passed: each is a RUN line and an OK line.
        awk '/^\[ RUN / { run = $0; next } /^\[       OK / { run = ""; next }
             run != "" { print run; run = "" } { print } END { if (run != "") print run }' "$log" |
            tail -n 60 | sed 's/^/    /'
    fi
done
echo "$programs test programs, $ran tests, $skipped skipped, $failed failed, $((SECONDS - start)) s"
echo "[==========] $((ran + broken)) test(s) run."
echo "[  PASSED  ] $passed test(s)."
[ $skipped -gt 0 ] && echo "[  SKIPPED ] $skipped test(s)."
[ $failed -gt 0 ] && echo "[  FAILED  ] $failed test(s)."
[ $failed -eq 0 ] && [ $programs -gt 0 ]
