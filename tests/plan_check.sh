#!/bin/bash
# plan_check.sh KIN: `kin plan` against the run that it is about, at 500 MB and more: peak resident memory
# within 5 %, the time of a step within 20 %. The time is planned before and after the run, because a shared
# machine changes its pace: one of the two has to agree.
kin=$(realpath "$1")
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
"$kin" data scenes --out "$folder/train" --count 1000 --seed 1 >/dev/null || exit 1
"$kin" data scenes --out "$folder/val" --count 200 --seed 2 --split val >/dev/null || exit 1
bad=0
check() { # check NAME WANT HAVE-1 HAVE-2 TOLERANCE
    awk -v name="$1" -v want="$2" -v a="$3" -v b="$4" -v most="$5" 'BEGIN {
        d = a / want - 1; e = b / want - 1
        near = (d < 0 ? -d : d) < (e < 0 ? -e : e) ? d : e
        ok = want > 0 && near < most && near > -most
        printf "%-6s %-34s planned %.4g and %.4g, real %.4g: %+.1f %%\n", ok ? "ok" : "FAILED", name, a, b, want, 100 * near
        exit !ok }' || bad=1
}
plan() { # MiB, seconds, GFLOP
    "$kin" plan "$@" | awk '$1 == "resident" { m = $2 * ($3 == "GiB" ? 1024 : 1) } / GFLOP, / { f = $1; s = $3 }
        END { print m, s, f }'
}
real() { # peak MiB, median seconds of a step, GFLOP
    "$kin" train "$@" --out "$folder/run" --log-every 1 >/dev/null 2>"$folder/err" &
    local pid=$! peak=0 now
    while now=$(awk '/VmHWM/ { print $2 }' "/proc/$pid/status" 2>/dev/null) && [ -n "$now" ]; do
        peak=$now
        sleep 0.2
    done
    wait "$pid" || { cat "$folder/err" >&2; return 1; }
    grep -v '"eval"' "$folder/run/metrics.jsonl" | sed 1,2d |
        sed 's/.*"pairs_per_s":\([^,]*\),.*"flops":\([^,]*\),.*/\1 \2/' | sort -g |
        awk -v peak="$peak" -v batch="$batch" '{ rate[NR] = $1; f += $2 }
            END { print peak / 1024, batch / rate[int((NR + 1) / 2)], f / NR / 1e9 }'
    rm -rf "$folder/run"
}
compare() { # compare NAME BATCH FLAG...
    local name=$1 batch=$2
    shift 2
    set -- --train-data "$folder/train" --val-data "$folder/val" --batch "$batch" --steps 12 --lr 1e-4 "$@"
    read -r m1 s1 f1 < <(plan "$@")
    read -r m s f < <(batch=$batch real "$@")
    read -r m2 s2 f2 < <(plan "$@")
    check "$name: resident MiB" "$m" "$m1" "$m2" 0.05
    check "$name: seconds a step" "$s" "$s1" "$s2" 0.20
    check "$name: GFLOP a step" "$f" "$f1" "$f2" 0.02
}
compare "whole batch" 64 --model ViT-Ti-16-112 --vocab 49408
compare "chunks of 16" 64 --model ViT-Ti-16-112 --vocab 49408 --chunk 16 --ema 0.99 --model.text.width 512
exit $bad
