#!/bin/sh
# pictures.sh PYTHON FOLDER: JPEG to tensor on one core, kin beside Pillow + numpy, turn by turn (A B A B ...). PYTHON has
# numpy and Pillow; FOLDER is what bench/pictures_pillow.py make FOLDER made (flickr: 500 x 375, coco: 640 x 480).
# PAIRS=5 turns of SECONDS_EACH=1 each way; SIDE=224. Both count the processor's time of their own thread.
python=${1:-python3} folder=$2 side=${SIDE:-224} seconds=${SECONDS_EACH:-1}
[ -d "$folder/coco" ] || { echo "pictures.sh: not run: no pictures in '$folder'; bench/pictures_pillow.py make FOLDER" >&2; exit 1; }
median() { sort -n | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
compare() { # compare SET OURS THEIRS
    ours="" theirs="" ratios=""
    for i in $(seq "${PAIRS:-5}"); do
        a=$(build/bench/pictures "$folder/$1" "$side" "$2" "$seconds" | sed -n 's/^\([0-9.]*\) pictures.*/\1/p')
        b=$("$python" bench/pictures_pillow.py run "$folder/$1" "$side" "$3" "$seconds" | sed -n 's/^\([0-9.]*\) pictures.*/\1/p')
        ours="$ours $a" theirs="$theirs $b" ratios="$ratios $(echo "$a $b" | awk '{ printf "%.2f", $1 / $2 }')"
    done
    a=$(echo "$ours" | tr ' ' '\n' | grep . | median) b=$(echo "$theirs" | tr ' ' '\n' | grep . | median)
    echo "$1: kin $2 $a pictures/s, Pillow $3 $b, ratios of the turns:$ratios, median $(
        echo "$ratios" | tr ' ' '\n' | grep . | median)"
}
for set in flickr coco; do
    compare $set exact exact
    compare $set scaled exact
    compare $set scaled scaled
done
