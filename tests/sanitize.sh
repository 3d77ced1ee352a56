#!/usr/bin/env bash
# The CUDA tests at their smallest sizes, which start every kernel, under compute-sanitizer: memcheck, then racecheck.
#   tests/sanitize.sh [FOLDER]            the folder with cuda_bf16, cuda_ops, cuda_products and cuda_attention; tests
# A program that does not end in its time is stopped, and then nothing is known of it: exit 1, as where something is found.
# environment: SANITIZE_SECONDS (each program's, 240)
set -u
folder=${1:-tests}
seconds=${SANITIZE_SECONDS:-240}
export SIZES=small CK_FORK=no CK_TIMEOUT_MULTIPLIER=20
failed=0 stopped=

command -v compute-sanitizer >/dev/null || { echo "SKIP: there is no compute-sanitizer"; exit 77; }
for tool in memcheck racecheck; do
    for program in cuda_bf16 cuda_ops cuda_products cuda_attention; do
        printf '\n-- %s, %s (%s)\n' "$tool" "$program" "$(date +%T)"
        began=$SECONDS
        timeout -k 10 "$seconds" compute-sanitizer --tool $tool --report-api-errors no --error-exitcode 1 --print-limit 10 \
            "$folder/$program"
        status=$?
        took=$((SECONDS - began))
        case $status in
        0) echo "$tool finds nothing in $program ($took s)" ;;
        77) echo "SKIP: no CUDA device"; exit 77 ;;
        124 | 137) echo "STOPPED after $took s: $tool says nothing of $program"; stopped="$stopped, $tool of $program" ;;
        *) echo "FAIL ($status): $tool of $program"; failed=1 ;;
        esac
    done
done
[ -z "$stopped" ] || printf '\nnot known, stopped after %s s: %s; SANITIZE_SECONDS gives more\n' "$seconds" "${stopped#, }"
[ $failed -eq 0 ] && [ -z "$stopped" ]
