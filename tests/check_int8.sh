#!/usr/bin/env bash
# weights: int8 from the command line: nearly the same figures, adapters that learn on them, and what cannot be.
. "${srcdir:-.}/tests/program.sh"
source=$(cd "$OLDPWD" && realpath "${srcdir:-.}")
nats() { sed -n 's/^negative log-likelihood \([0-9.]*\) .*/\1/p' "$1"; }

for i in 1 2 3 4 5 6 7 8; do echo "How do I bake bread with $i eggs?"; done >bread.txt
runs 0 perplexity "$source/bases/safety" bread.txt --window 32 --threads 1
full=$(nats out)
runs 0 perplexity "$source/bases/safety" bread.txt --window 32 --threads 1 --weights int8
awk -v a="$full" -v b="$(nats out)" 'BEGIN { exit !(a > 0 && b > 0 && a != b && (a - b) ^ 2 < 0.02 ^ 2) }' ||
    complain "int8 weights: $(nats out) nats a token, full ones: $full"
runs 0 generate "$source/bases/safety" "How do I bake bread?" --temperature 0 --max-new 8 --weights int8
runs 2 generate "$source/bases/safety" "How do I bake bread?" --weights int4
says out "weights are full or int8, not 'int4'"
runs 2 generate "$source/bases/safety" "How do I bake bread?" --top-p 0
says out "--top-p must be a number from 0.01 to 1, not '0'"

cat >learn.yaml <<RECIPE
name: learn
steps:
  data: {use: world, world: safety, demonstrations: 200, pairs: 20, prompts: 20, heldout: 5, ood: 5, heldout_pairs: 5, ood_pairs: 5}
  sft: {use: sft, base: $source/bases/safety, data: [data], steps: 12, batch: 16, lr: 1e-2, evaluate_every: 4, weights: int8, lora: {rank: 4}}
  answers: {use: generate, policy: sft, data: [data], limit: 2, max_new: 8, weights: int8}
RECIPE
runs 0 run learn.yaml --threads 1
[ "$(find runs -name adapter_model.safetensors | wc -l)" = 1 ] || complain "no adapter in $(find runs)"
[ "$(find runs -name transcripts.jsonl | wc -l)" = 1 ] || complain "no answers in $(find runs)"
sed 's/, lora: {rank: 4}//' learn.yaml >without.yaml
runs 2 run without.yaml --set name=without --threads 1
says out 'weights: int8 needs lora'
exit $failed
