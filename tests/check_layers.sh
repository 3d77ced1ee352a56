#!/usr/bin/env bash
# The house's rules, checked: who includes whom, that every header compiles alone, that each outside library is
# included in one place.
set -u
cd "${srcdir:-.}" || exit 99
failed=0

complain() {
    echo "FAIL: $*"
    failed=1
}

# may FOLDER PATTERN: the project headers that files in FOLDER may include.
may() {
    local folder=$1 allowed=$2 found
    found=$(grep -rnE '^#include "' "$folder" --include='*.[ch]' --include='*.cu' --include='*.cuh' | grep -vE "\"($allowed)/" || true)
    [ -z "$found" ] || complain "$folder/ includes what it may not (allowed: $allowed):"$'\n'"$found"
}
may harness 'harness'
may kernels 'kernels'
may models 'models|kernels|harness'
may rewards 'rewards|models|kernels|harness'
may worlds 'worlds|harness'
may trainers 'trainers|rewards|models|kernels|harness'
may judges 'judges|rewards|models|kernels|harness'
may suites 'suites|judges|rewards|models|kernels|harness'
may reports 'reports|harness'

# only HEADER PLACES: an outside library's header stands in these files alone.
only() {
    local header=$1 places=$2 found
    found=$(grep -rlE "^#include <$header" harness kernels models rewards worlds trainers judges suites reports | grep -vE "^($places)" || true)
    [ -z "$found" ] || complain "<$header…> belongs in $places, but stands in:"$'\n'"$found"
}
only '(cjson/|cJSON)' 'harness/document_json\.c'
only 'yaml' 'harness/document_yaml\.c'
only 'gsl/' 'harness/(statistics[a-z_]*|rng)\.c'
only 'sqlite3' 'harness/store[a-z_]*\.c'
only 'curl/' 'harness/http[a-z_]*\.c'
only 'mpi\.h' 'harness/wire_mpi\.c'
only '(zlib|zstd)' 'harness/unpack\.c'
only '(cuda|cublas|nccl)' 'kernels/cuda/'

# No trainer, judge, suite or report includes another of its kind: what they share stands in a header of the folder's
# name or of a named part.
for header in */*.h; do
    echo "#include \"$header\"" | ${CC:-gcc} -std=gnu17 -Wall -Wextra -Werror -I. -x c -fsyntax-only - ||
        complain "$header does not compile alone"
done

# Nothing below main prints or exits: only these may.
found=$(grep -rnE '\b(printf|puts|putchar|exit|abort)\(' harness kernels models rewards worlds trainers judges suites reports --include='*.c' |
    grep -vE '^((harness/(main|memory)|kernels/cpu/memory)\.c|[a-z]+/command_[a-z]+\.c)' | grep -vE '(fprintf|_exit|text_printf|xprintf)\(' || true)
[ -z "$found" ] || complain "prints or exits below main:"$'\n'"$found"

[ $failed -eq 0 ] && echo "layers: every include is where it may be, every header compiles alone"
exit $failed
