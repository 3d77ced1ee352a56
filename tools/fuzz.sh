#!/usr/bin/env bash
# Feeds libFuzzer's inputs to the readers of files, one after the other, and prints what each was given.
#   tools/fuzz.sh [READER…]      all of them: safetensors gguf model index tokenizer chat config adapter jsonl json csv jsonl.gz csv.zst
# environment: MINUTES (10) of processor time for each, CLANG (clang), OUT (build-fuzz/found): what was found so far, from
# which a second call goes on; an input that crashes a reader is kept there, and the exit status is then 1.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD out=${OUT:-$PWD/build-fuzz/found} minutes=${MINUTES:-10}
kinds=(jsonl json csv jsonl.gz csv.zst)

build() {
    tools/try.sh build-fuzz CC="${CLANG:-clang}" CFLAGS='-O1 -g -fsanitize=fuzzer-no-link,address,undefined' \
        -- --with-cuda=no >"$work/build.log" || { cat "$work/build.log" >&2; exit 1; }
    libraries=$(make -s -C build-fuzz -f - libraries <<<$'include Makefile\nlibraries:\n\t@echo $(DEPENDENCIES_LIBS)')
}

# compile PROGRAM SOURCE ONLY
compile() {
    # shellcheck disable=SC2086
    "${CLANG:-clang}" -O1 -g -fsanitize=fuzzer,address,undefined -I. -Ibuild-fuzz "-DONLY=$3" -o "$1" "$2" \
        build-fuzz/libpyrite.a $libraries -lm -fopenmp
}

# The source of a reader, the byte or number that stands for it there, and its seeds.
describe() {
    local i
    source=tests/fuzz_models.c seeds=tests/fixtures/corpus
    case $1 in
    chat) only="'h'" ;;
    safetensors | gguf | model | index | tokenizer | config | adapter) only="'${1:0:1}'" ;;
    *)
        source=tests/fuzz_records.c seeds=tests/fixtures/corpus-records
        for i in "${!kinds[@]}"; do
            if [ "${kinds[i]}" = "$1" ]; then
                only=$i
                return
            fi
        done
        echo "fuzz.sh: there is no reader \"$1\"" >&2
        exit 2
        ;;
    esac
}

# Processor seconds of the command in $spent; its output goes to FILE.
timed() {
    local file=$1 status=0
    shift
    TIMEFORMAT='%U %S'
    { time "$@" >"$file" 2>&1 || status=$?; } 2>"$file.time"
    spent=$(awk '{printf "%d", $1 + $2}' "$file.time")
    return $status
}

run() {
    local name=$1 total=0 executions=0 status=0
    describe "$name"
    mkdir -p "$out/$name"
    compile "$work/fuzz" "$source" "$only"
    while [ "$total" -lt $((minutes * 60)) ] && [ "$status" -eq 0 ]; do
        (cd "$work" && timed log ./fuzz "$out/$name" "$root/$seeds" -max_len=4096 -timeout=20 -rss_limit_mb=2048 \
            -max_total_time=60 -print_final_stats=1 -artifact_prefix="$out/$name-" && echo "$spent" >spent) || status=1
        [ "$status" -eq 0 ] || break
        total=$((total + $(cat "$work/spent")))
        executions=$((executions + $(awk '/number_of_executed_units/ {print $2}' "$work/log")))
    done
    printf '%-12s %8d s %12d inputs %6d kept  %s\n' "$name" "$total" "$executions" \
        "$(find "$out/$name" -type f | wc -l)" "$([ "$status" -eq 0 ] && echo 'no crash' || echo 'CRASHED')"
    [ "$status" -eq 0 ] || { tail -30 "$work/log" >&2; failed=1; }
}

work=$(mktemp -d -p /dev/shm)
trap 'rm -rf "$work"' EXIT
failed=0
build
[ $# -gt 0 ] || set -- safetensors gguf model index tokenizer chat config adapter "${kinds[@]}"
for reader; do run "$reader"; done
exit $failed
