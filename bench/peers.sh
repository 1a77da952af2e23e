#!/bin/sh
# peers.sh [PYTHON ...]: kin's training step beside PyTorch's, turn by turn on the same machine (A B C A B C ...), so that
# a noisy neighbour troubles all. Each PYTHON is an interpreter that has torch (default python3), e.g. one of a virtual
# environment with the newest and Debian's /usr/bin/python3. Per work: pairs/s and peak memory of each, the ratio of each
# turn, the median ratio with least and most. PAIRS=5 turns; LARGE=1 adds batch 64.
pairs=${PAIRS:-5}
[ $# -gt 0 ] || set -- python3
median() { tr ' ' '\n' | grep . | sort -n | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
range() { tr ' ' '\n' | grep . | sort -n | sed -n '1p;$p' | tr '\n' ' ' | sed 's/ $//;s/ / to /'; }
figures() { sed -n 's/.*median \([0-9.]*\) pairs.*, \([0-9]*\) MiB;.*/\1 \2/p;s/^pytorch.*: \([0-9.]*\) pairs.*, \([0-9]*\) MiB$/\1 \2/p'; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
compare() { # compare WHAT MODEL BATCH STEPS TOKENS PYTHON ...
    what=$1 model=$2 batch=$3 steps=$4 tokens=$5
    shift 5
    rm -f "$work"/*
    for i in $(seq "$pairs"); do
        a=$(build/bench/step "$model" "$batch" "$steps" 0 auto "$tokens" | figures)
        echo "${a% *}" >>"$work/kin" && echo "${a#* }" >>"$work/kin.mib"
        k=0
        for python; do
            k=$((k + 1))
            b=$("$python" bench/step_torch.py "$model" "$batch" "$steps" "$(nproc)" "$tokens" | figures)
            echo "${b% *}" >>"$work/$k" && echo "${b#* }" >>"$work/$k.mib"
            echo "$a $b" | awk '{ printf "%.3f\n", $1 / $3 }' >>"$work/$k.ratio"
        done
    done
    echo "$what: kin $(median <"$work/kin") pairs/s, $(median <"$work/kin.mib") MiB"
    k=0
    for python; do
        k=$((k + 1))
        echo "  $python ($("$python" -c 'import torch; print(torch.__version__)')): $(median <"$work/$k") pairs/s," \
            "$(median <"$work/$k.mib") MiB; kin is $(median <"$work/$k.ratio") times as fast ($(range <"$work/$k.ratio"))," \
            "with $(echo "$(median <"$work/kin.mib") $(median <"$work/$k.mib")" | awk '{ printf "%.2f", $1 / $2 }') of the memory"
    done
}
compare "Ti/16 at 112, batch 64, real lengths" ViT-Ti-16-112 64 5 0 "$@"
compare "Ti/16 at 112, batch 64, 77 ids" ViT-Ti-16-112 64 5 77 "$@"
compare "B/32, batch 16, real lengths" ViT-B-32 16 3 0 "$@"
compare "B/32, batch 16, 77 ids" ViT-B-32 16 3 77 "$@"
[ -z "${LARGE:-}" ] || compare "B/32, batch 64, 77 ids" ViT-B-32 64 2 77 "$@"
