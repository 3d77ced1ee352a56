#!/usr/bin/env bash
# Measures everything that docs/performance.md shows and writes it there: the race, how cost grows, the kernels' shares
# of the peak. Wants a machine that does nothing else; some 20 minutes.
#   tools/performance.sh [FOLDER]       FOLDER (default: performance) keeps the JSON and the environment of the peers
# MINUTES (14) bounds the race. PYRITE names the program (default: build/pyrite), PYTHON the interpreter that has the peers, or that a virtual
# environment for them is made with (default: python3).
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
pyrite=$(realpath "${PYRITE:-$top/build/pyrite}")
folder=${1:-performance}
mkdir -p "$folder"
python=${PYTHON:-python3}
if ! "$python" -c 'import torch, llama_cpp, gguf, numpy' 2>/dev/null; then
    [ -d "$folder/venv" ] || "$python" -m venv "$folder/venv"
    python=$folder/venv/bin/python
    echo "installing torch, llama-cpp-python, gguf and numpy into $folder/venv"
    CMAKE_ARGS=-DGGML_NATIVE=ON "$python" -m pip install -q torch llama-cpp-python gguf numpy >"$folder/install.log" 2>&1 ||
        tail -3 "$folder/install.log" >&2
fi
"$pyrite" bench compare ${MINUTES:+--minutes "$MINUTES"} --python "$python" --out "$folder/race.json" --write "$top/docs/performance.md" >"$folder/race.md"
for device in cpu cpu-bf16; do
    for what in matmul decode; do
        "$pyrite" bench $what --device $device --write "$top/docs/performance.md" --json >"$folder/$what-$device.json"
    done
done
"$pyrite" bench growth --device cpu-bf16 --out "$folder/growth.json" --write "$top/docs/performance.md" >"$folder/growth.md"
"$python" "$top/tools/draw-growth.py" "$folder/growth.json" "$top/docs/figures/growth.svg"
echo "docs/performance.md and docs/figures/growth.svg are written; $folder has the figures"
