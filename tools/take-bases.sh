#!/bin/sh
# Copies the base models of a finished run of recipes/base.yaml to bases/: tools/take-bases.sh RUN
set -eu
cd "$(dirname "$0")/.."
for folder in "$1"/steps/*/base; do
    world=$(basename "$(dirname "$folder")")
    mkdir -p "bases/$world"
    cp "$folder/config.json" "$folder/model.safetensors" "$folder/tokenizer.json" "bases/$world/"
    echo "bases/$world"
done
