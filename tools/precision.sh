#!/bin/sh
# Trains five seeds in two ways and compares the curves, as a table on standard output: the regression run in single
# precision and in bf16, of which it draws docs/figures/precision.svg too; or, as `precision.sh rounding`, that run's
# SFT in bf16 with weights rounded to the nearest and stochastically. The runs stay in runs/precision-*; a second call
# goes on from there.
# environment: PYRITE (build/pyrite), SEEDS ([1,2,3,4,5]), JOBS (as many as threads)
set -eu
cd "$(dirname "$0")/.."
pyrite=${PYRITE:-build/pyrite}

train() { # NAME RECIPE DEVICE [ARGUMENT]…
    name=$1 recipe=$2 device=$3
    shift 3
    "$pyrite" run "$recipe" --set "matrix.seed=${SEEDS:-[1,2,3,4,5]}" --device "$device" "$@" \
        ${JOBS:+--jobs "$JOBS"} --out "runs/precision-$name" >&2
}

if [ "${1:-}" = rounding ]; then
    mkdir -p runs
    sed '/^  rm:/,$d' recipes/check.yaml >runs/rounding.yaml
    train nearest runs/rounding.yaml cpu-bf16 --set steps.sft.epochs=3
    train stochastic runs/rounding.yaml cpu-bf16 --set steps.sft.epochs=3 --set steps.sft.stochastic_rounding=true
    tools/curves.py runs/precision-nearest runs/precision-stochastic
else
    train cpu recipes/check.yaml cpu
    train cpu-bf16 recipes/check.yaml cpu-bf16
    tools/curves.py runs/precision-cpu runs/precision-cpu-bf16 docs/figures/precision.svg
fi
