#!/usr/bin/env bash
# tests/sanitize.sh with a sanitizer that finds something, or does not end, where it is told to.
sanitize=$(realpath "$(dirname "$0")/sanitize.sh")
. "$(dirname "$0")/program.sh"

mkdir bin
cat >bin/compute-sanitizer <<'END'
#!/bin/sh
# usage: compute-sanitizer --tool TOOL … PROGRAM
for program; do :; done
name=${program##*/}
[ "$SIZES" = small ] || exit 9
case $2-$name in
"$SLOW") sleep 30 ;;
"$WRONG") exit 1 ;;
"$NOWHERE") exit 77 ;;
esac
END
chmod +x bin/compute-sanitizer
sanitizes() {
    local code=$1 got
    shift
    env PATH="$here/bin:$PATH" SANITIZE_SECONDS=1 "$@" bash "$sanitize" programs >out 2>&1
    got=$?
    [ $got -eq "$code" ] || complain "sanitize.sh with $*: exit code $got, expected $code"$'\n'"$(cat out)"
}

sanitizes 0 NONE=1
[ "$(grep -c '^\(memcheck\|racecheck\) finds nothing in cuda_' out)" -eq 8 ] || complain "not eight clean runs:"$'\n'"$(cat out)"

# What was stopped is named, and did not pass; the others are run.
sanitizes 1 SLOW=racecheck-cuda_products
says out 'racecheck says nothing of cuda_products'
says out 'not known, stopped after 1 s: racecheck of cuda_products'
says out 'racecheck finds nothing in cuda_attention'
! grep -q 'racecheck finds nothing in cuda_products' out || complain "what was stopped passed"

sanitizes 1 WRONG=memcheck-cuda_ops
says out 'FAIL (1): memcheck of cuda_ops'
says out 'racecheck finds nothing in cuda_ops'
sanitizes 77 NOWHERE=memcheck-cuda_bf16
says out 'SKIP: no CUDA device'
exit $failed
