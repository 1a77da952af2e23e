#!/bin/sh
# peers.sh [PYTHON]: kin's training step beside PyTorch's, turn by turn on the same machine (A B A B ...), so that a
# noisy neighbour troubles both. Prints each turn; the ratio of medians stands at the end of each pair of lines.
# PYTHON is an interpreter that has torch (default python3). PAIRS=5 turns.
python=${1:-python3}
pairs=${PAIRS:-5}
median() { sort -n | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
compare() { # compare MODEL BATCH STEPS TOKENS
    ours="" theirs="" ratios=""
    for i in $(seq "$pairs"); do
        a=$(build/bench/step "$1" "$2" "$3" 0 auto "$4" | sed -n 's/^median \([0-9.]*\).*/\1/p')
        b=$("$python" bench/step_torch.py "$1" "$2" "$3" "$(nproc)" "$4" | sed -n 's/.*: \([0-9.]*\) pairs.*/\1/p')
        ours="$ours $a" theirs="$theirs $b" ratios="$ratios $(echo "$a $b" | awk '{ printf "%.3f", $1 / $2 }')"
    done
    a=$(echo "$ours" | tr ' ' '\n' | grep . | median) b=$(echo "$theirs" | tr ' ' '\n' | grep . | median)
    echo "$1 batch $2 tokens $4: kin $a pairs/s, PyTorch $b, ratios of the turns:$ratios, median $(
        echo "$ratios" | tr ' ' '\n' | grep . | median)"
}
compare ViT-Ti-16-112 64 5 0
compare ViT-Ti-16-112 64 5 77
compare ViT-B-32 16 3 0
compare ViT-B-32 16 3 77
