#!/usr/bin/env bash
# Configures and builds everything, tests included, in a folder of its own; runs the unit tests if asked to.
#   tools/try.sh FOLDER [check] [VARIABLE=value…] [-- configure options…]
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$1
shift
programs=(check TESTS=)
if [ "${1:-}" = check ]; then
    programs=(check 'TESTS=$(check_PROGRAMS)')
    shift
fi
variables=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    variables+=("$1")
    shift
done
[ $# -gt 0 ] && shift
mkdir -p "$folder"
cd "$folder"
../configure -q "${variables[@]}" "$@" >configure.log 2>&1 || { tail -20 configure.log; exit 1; }
make -j"$(nproc)" "${programs[@]}" >check.log 2>&1 || {
    grep -E '^(FAIL|ERROR)|(error|warning):' check.log | head -40
    tail -30 check.log
    exit 1
}
grep -E '^# (TOTAL|PASS|SKIP|FAIL|ERROR):' check.log || true
