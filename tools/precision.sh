#!/bin/sh
# Trains five seeds of the regression run in single precision and in bf16 and compares the curves: writes the table to
# standard output and docs/figures/precision.svg. The runs stay in runs/precision-*; a second call goes on from there.
# environment: PYRITE (build/pyrite), SEEDS ([1,2,3,4,5]), JOBS (as many as threads)
set -eu
cd "$(dirname "$0")/.."
pyrite=${PYRITE:-build/pyrite}

for device in cpu cpu-bf16; do
    "$pyrite" run recipes/check.yaml --set "matrix.seed=${SEEDS:-[1,2,3,4,5]}" --device "$device" \
        ${JOBS:+--jobs "$JOBS"} --out "runs/precision-$device" >&2
done
tools/curves.py runs/precision-cpu runs/precision-cpu-bf16 docs/figures/precision.svg
