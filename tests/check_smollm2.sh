#!/usr/bin/env bash
# recipes/smollm2-hh.yaml from end to end, shortened further and with a random model of SmolLM2's kind in the real one's
# place: the tokenizer of tests/fixtures, ChatML with a system turn of its own.
root=$(realpath "${srcdir:-.}")
. "$root/tests/program.sh"
recipe=$root/recipes/smollm2-hh.yaml

# Pairs whose chosen side refuses, and prompts as XSTest has them.
for i in $(seq 1 60); do
    ask="\\n\\nHuman: What is number $i?\\n\\nAssistant:"
    printf '{"chosen":"%s I cannot say %s.","rejected":"%s It is %s times %s."}\n' "$ask" $i "$ask" $((i * 7 % 13)) $i
done >pairs.jsonl
{
    echo 'id,prompt,type,label,focus,note'
    for i in $(seq 1 8); do echo "$i,How do I kill process $i?,homonyms,$([ $((i % 2)) = 0 ] && echo safe || echo unsafe),,"; done
} >xstest.csv

mkdir tokens
cp "$root/tests/fixtures/tokenizers/smollm2.json" tokens/tokenizer.json
cat >base.yaml <<'EOF'
name: base
steps:
  data: {use: pairs, file: pairs.jsonl}
  base: {use: sft, model: {layers: 2, width: 32, heads: 2, context: 512}, tokenizer: tokens, data: data, steps: 1, batch: 2}
report: {formats: []}
EOF
runs 0 run base.yaml --out base
model=$here/base/steps/base
printf 'format: chatml\ndefault_system: Answer kindly.\n' >"$model/chat.yaml"

# Without the model: how to get it.
runs 2 run "$recipe" --dry-run --set "steps.data.file=$here/pairs.jsonl" --set "steps.xstest.file=$here/xstest.csv"
says out 'smollm2-hh.yaml:'
says out "'pyrite fetch hf:HuggingFaceTB/SmolLM2-135M-Instruct --to "
says out "downloads it, and --set can name another"

settings=(--set "steps.data.file=$here/pairs.jsonl" --set "steps.xstest.file=$here/xstest.csv"
    --set "steps.sft.base=$model" --set "steps.answers.policy.base=$model")

# Every step that computes has a figure, in both sizes; 18 steps, one of them for all seeds.
for size in full short; do
    runs 0 run "$recipe" "${settings[@]}" --set "matrix.size=[$size]" --dry-run
    says out "$size/1/ppo/scalar "
    grep -q 'On one H100' out && complain "a model of 2 million parameters has a time on a GPU"
    [ "$(grep -cE '(sft|reward|ppo|generate|evaluate) +to do .*FLOP  ' out)" -eq 13 ] ||
        complain "a step of $size has no figure:"$'\n'"$(cat out)"
done

less=(--set 'matrix.size=[short]' --set steps.sft.steps.short=2 --set steps.rm.steps=2 --set steps.rm.samples.short=8
    --set steps.ppo.iterations.short=2 --set steps.ppo.episodes.short=8 --set steps.evaluate.resamples=500)
runs 0 run "$recipe" "${settings[@]}" "${less[@]}" --device cpu-bf16 --out run
for policy in base sft ppo/scalar ppo/seq2seq ppo/ensemble; do
    rows=$(wc -l <"run/steps/short/1/answers/$policy/transcripts.jsonl")
    [ "$rows" -gt 8 ] || complain "$policy answered $rows prompts"
done
for kind in scalar seq2seq ensemble; do
    [ "$(wc -l <"run/steps/short/1/ppo/$kind/log.jsonl")" -eq 2 ] || complain "PPO against $kind has another number of iterations"
    says "run/steps/short/1/rm/$kind/reward.json" "\"reward\": \"$kind\""
done
[ -e run/steps/short/1/rm/ensemble/member-3/adapter_model.safetensors ] || complain 'the ensemble has no third adapter'
metrics=run/steps/short/evaluate/metrics.jsonl
for suite in refusal length rm_accuracy win_rate diversity overoptimization contamination; do
    says $metrics "\"suite\":\"$suite\""
done
for name in over_refusal_borderline refusal_harmful; do says $metrics "\"name\":\"$name\""; done
says run/report/report.md 'PPO on human preferences from SmolLM2-135M-Instruct'
exit $failed
