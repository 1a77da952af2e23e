#!/bin/sh
# gpu.sh BUILD PYTHON: what docs/SPEED.md says of a GPU, in one run of at most 8 minutes; the figures go to
# BUILD/bench-gpu.txt too. Each op in bf16 beside a copy and a product of cuBLAS measured in the same run; whole steps with
# equal tokens (77) and with captions as long as COCO's, beside PyTorch's, turn by turn, where PYTHON has it.
build=$1 python=$2 out=$1/bench-gpu.txt
export KIN_PLUGINS=$build
if ! why=$("$build/bench/ops" none cuda bf16 2>&1 >/dev/null); then
    echo "make bench-gpu measures nothing here: ${why#bench ops: }"
    exit 0
fi
steps() { # steps MODEL BATCH
    for turn in 1 2 3; do
        for tokens in 77 0; do
            "$build/bench/step" "$1" "$2" 10 0 auto $tokens cuda bf16 | sed -n "1,2s/^/kin, tokens $tokens: /p"
            [ -z "$torch" ] || timeout 120 "$python" bench/step_torch.py "$1" "$2" 10 0 $tokens cuda
        done
    done
}
torch=$("$python" -c 'import torch; print(torch.__version__ if torch.cuda.is_available() else "")' 2>/dev/null)
{
    date -u +%F
    nvidia-smi --query-gpu=name,driver_version --format=csv,noheader
    "$build/bench/ops" all cuda bf16
    [ -n "$torch" ] || echo "no PyTorch that sees this GPU: steps are kin's alone"
    steps ViT-B-32 512
    steps ViT-B-16 256
    steps ViT-L-14 96
    "$build/bench/step" ViT-B-32 512 10 0 auto 0 cuda bf16
} 2>&1 | tee "$out"
echo "these figures are in $out"
