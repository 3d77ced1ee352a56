#!/usr/bin/env bash
# pyrite perplexity: the same figures from a folder, a GGUF file and the list of tokens; what cannot be read is said.
. "${srcdir:-.}/tests/program.sh"
source=$(cd "$OLDPWD" && realpath "${srcdir:-.}")

for i in 1 2 3 4 5 6 7 8; do echo "How do I bake bread with $i eggs?"; done >bread.txt
runs 0 perplexity "$source/bases/safety" bread.txt --window 32 --tokens list.jsonl --threads 1
grep -qE '^bread.txt: [0-9]+ tokens, windows of 32: [0-9]+, predicted tokens: [0-9]+$' out || complain "no counts in"$'\n'"$(cat out)"
grep -qE '^negative log-likelihood [0-9]+\.[0-9]{6} nats a token, perplexity [0-9]+\.[0-9]{4}$' out ||
    complain "no figures in"$'\n'"$(cat out)"
mv out folder
says list.jsonl '"ids":['
# the mean of the log-probabilities in the list
mean=$(tr '{' '\n' <list.jsonl | sed -n 's/.*"logprob":\[\([^]]*\)\].*/\1/p' | tr ',' '\n' | awk '{ sum -= $1 } END { printf "%.4f", sum / NR }')
says folder "negative log-likelihood $mean"
# the same model from a GGUF file
runs 0 convert "$source/bases/safety" safety.gguf
runs 0 perplexity safety.gguf bread.txt --window 32 --threads 2
cmp -s out folder || complain "the GGUF file has other figures:"$'\n'"$(cat out folder)"
runs 0 perplexity "$source/bases/safety" bread.txt --window 32 --most 33 --threads 1
says out 'bread.txt: 33 tokens, windows of 32: 1, predicted tokens: 31'

runs 2 perplexity "$source/bases/safety" bread.txt --window 193
says out 'bread.txt: windows of 193 tokens are longer than the model'"'"'s context of 192, the most that it can read'
runs 0 perplexity "$source/bases/safety" bread.txt # 512 would be too long
says out 'the window is the model'"'"'s context of 192 tokens, which is below 512'
says out ', windows of 192: '
runs 2 perplexity nowhere bread.txt
says out 'there is no folder nowhere; a model'"'"'s folder has config.json and model.safetensors'
runs 2 perplexity bread.txt bread.txt
says out 'bread.txt is neither a model'"'"'s folder nor a .gguf file'
: >empty.txt
runs 2 perplexity "$source/bases/safety" empty.txt --tokens never.jsonl
says out 'empty.txt: '
[ ! -e never.jsonl ] || complain "a list without a result"
runs 2 perplexity "$source/bases/safety" nowhere.txt
says out 'nowhere.txt'
runs 2 perplexity "$source/bases/safety" bread.txt --window 1
says out '--window'
exit $failed
