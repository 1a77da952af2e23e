#!/bin/sh
# demo.sh BUILD: makes scenes, trains a small model on them, measures it on scenes it has never seen and looks for
# some with words. Everything lands in run/demo. With DEMO_CONFIG another configuration is trained the same way.
set -e
kin=$1/kin
config=${DEMO_CONFIG:-configs/demo.cfg}
out=${DEMO_OUT:-run/demo}
say() { printf '\n== %s\n' "$*"; }

say "scenes: pictures of coloured shapes with captions, made from a seed"
mkdir -p "$out"
"$kin" data scenes --out "$out/train" --count 20000 --seed 1 --split train --max-objects 2 # easier to learn from
"$kin" data scenes --out "$out/val" --count 500 --seed 2 --split val
"$kin" data scenes --out "$out/test" --count 1000 --seed 3 --split test

say "training from random weights ($config)"
"$kin" train --config "$config" --train-data "$out/train" --val-data "$out/val" --out "$out/model"

say "1,000 scenes of the test split: shapes in colours that training never showed together"
"$kin" eval retrieval --model "$out/model/last" --data "$out/test" --bootstrap 1000 --out "$out/results.json" \
    --sheet "$out/sheet.png"

say "search them yourself"
words="a red circle left of a blue square"
echo "kin search --model $out/model/last --in $out/test \"$words\" -k 3"
"$kin" search --model "$out/model/last" --in "$out/test" "$words" -k 3
printf '\nqueries and what they found: %s\n' "$out/sheet.png"
