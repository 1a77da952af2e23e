#!/bin/bash
# lint.sh: the rules of docs/DESIGN.md that a compiler does not check. Prints each breach, fails if any.
cd "$(dirname "$0")/.." || exit 1
shopt -s lastpipe # so that breach, at the end of a pipe, can set `bad`
export LC_ALL=C.UTF-8
bad=0
breach() { # breach RULE < lines
    local lines
    lines=$(cat)
    [ -z "$lines" ] && return
    printf 'lint: %s\n%s\n' "$1" "$(sed 's/^/    /' <<<"$lines")"
    bad=1
}
found() { find "$@" -name "*.[ch]" -o -name "*.def" -o -name "*.cu" -o -name "*.cuh" -o -name "*.cpp" 2>/dev/null | sort; }
library=$(found core kernels nn train data include)
sources=$(found core kernels nn train data include tools tests bench)
cfiles=$(grep -v '\.def$' <<<"$sources")
texts=$(find . -path ./.git -prune -o -path ./build -prune -o -path ./run -prune -o -type f -print |
    grep -E '\.(c|h|def|cu|cuh|sh|py|md|cfg|json|txt)$|/Makefile$|/LICENSE$|/\.ci/run$' | sort)

# An include may only point down: floor 0 core; 1 kernels; 2 nn, data; 3 train; above: tools, tests, bench.
includes() { grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' $1 /dev/null; }
allow() { # allow FOLDER ALLOWED-PATTERN
    local files
    files=$(grep "^$1/" <<<"$library")
    [ -n "$files" ] && includes "$files" | grep -vE "\"($2)\"" | breach "$1/ may include only $2"
}
allow core 'core/[^"]*'
for b in $(find kernels -mindepth 1 -maxdepth 1 -type d 2>/dev/null | sort); do allow "$b" "core/[^\"]*|$b/[^\"]*"; done
allow data 'data/[^"]*|core/(augment|base|file|json|rng)\.h'
allow nn 'nn/[^"]*|core/[^"]*'
allow train '(train|nn|data|core)/[^"]*|include/kin\.h'
allow include '(include)/[^"]*'
includes "$sources" | grep -vE '"[a-z0-9_]+/[^"]*"' | breach 'includes are written from the root: "core/base.h"'
includes "$sources" | grep -F '../' | breach 'no ../ in includes'

# A third-party header is seen by one file, so that its library can be exchanged there.
for header in jansson.h jpeglib.h zlib.h utf8proc.h stb/stb_image.h stb/stb_image_write.h spng.h webp/decode.h; do
    users=$(grep -lE "^[[:space:]]*#[[:space:]]*include[[:space:]]*<(${header}|${header#stb/})>" $library tools/*.[ch] 2>/dev/null)
    [ "$(grep -c . <<<"$users")" -gt 1 ] && breach "<$header> belongs in one file" <<<"$users"
    [ $header = jansson.h ] && grep -v '^core/json\.h$' <<<"$users" | breach '<jansson.h> belongs in core/json.h'
done

# The library never prints, exits or aborts.
grep -nE '(^|[^a-zA-Z0-9_>.])(printf|vprintf|puts|putchar|perror|exit|_exit|abort|assert)[ ]*\(|\((stdout|stderr)\b|\bfputs\(.*std(out|err)' \
    $library /dev/null | grep -vE ':[0-9]+:[ ]*(/?\*|//)' | breach 'the library prints, exits or aborts'

grep -nE '^.{111,}' $cfiles /dev/null | cut -c1-120 | breach 'lines longer than 110 columns'
grep -nP '\t' $sources /dev/null | breach 'tabs in C'
grep -nE '[[:space:]]+$' $sources /dev/null | breach 'white space at the end of a line'
for f in $sources; do [ -s "$f" ] && [ -n "$(tail -c 1 "$f")" ] && echo "$f"; done | breach 'no newline at the end'
grep -nwE 'TO''DO|FIX''ME|X''XX' $texts /dev/null | breach 'unfinished business'

# Nothing names the machine it was written on.
up=$(dirname "$PWD")
case $up in / | /tmp | /var/tmp | /usr | /opt | /srv | /mnt | /home) up= ;; esac
for private in "${up:+$up/}" "${HOME:+$HOME/}" "$(hostname 2>/dev/null | grep '[0-9]')"; do
    [ ${#private} -gt 5 ] && grep -nF -- "$private" $texts /dev/null | breach "names this machine ($private)"
done

wc -l $sources | awk '$2 != "total" && $1 > 600 { print "lint: note: " $2 " has " $1 " lines: is it still one room?" }'
[ $bad -eq 0 ] && echo "lint: $(wc -l <<<"$sources") files, clean"
exit $bad
