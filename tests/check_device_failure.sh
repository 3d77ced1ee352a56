#!/usr/bin/env bash
# A device that fails in the middle of a run, or has too little memory, on the device in software: each step ends with a
# sentence and exit code 1, keeps nothing of what failed, and the same command ends in an undisturbed run's bytes; what a
# refusal offers fits when it is taken.
PYRITE=${EMULATED_PYRITE:-tests/emulated_pyrite}
[ -x "$PYRITE" ] || { echo "SKIP: there is no program for the device in software: no C++ compiler"; exit 77; }
. "${srcdir:-.}/tests/program.sh"

cat >r.yaml <<'YAML'
name: small
steps:
  data: {use: world, world: safety, demonstrations: 24, pairs: 12, prompts: 12, heldout: 4, ood: 4, heldout_pairs: 2, ood_pairs: 2}
  tokens: {use: tokenizer, data: [data], vocab: 300}
  sft:
    {use: sft, model: {layers: 2, width: 16, heads: 2, context: 128}, tokenizer: tokens, data: [data], steps: 6, batch: 2,
     heldout: 2, evaluate_every: 3, micro_tokens: 128, checkpoint_every: 2}
  rm:
    {use: reward, reward: scalar, base: sft, data: [data], steps: 4, batch: 1, micro_tokens: 256, samples: 4, max_new: 4,
     checkpoint_every: 1}
  ppo:
    {use: ppo, policy: sft, reward: rm, data: [data], iterations: 3, episodes: 4, minibatches: 2, epochs: 1, slots: 4,
     max_new: 4, micro_tokens: 256, checkpoint_every: 1}
  answers: {use: generate, policy: ppo, data: [data], limit: 4, splits: heldout, slots: 4, max_new: 20}
report: {formats: []}
YAML

run_in() { # CODE FOLDER [ARGUMENT]…: the run on the device
    runs "$1" run r.yaml --device cuda --jobs 1 --out "$2" "${@:3}"
}
same() { # A B: folders of the same bytes
    diff -r -x run.db -x run.db-wal -x run.db-shm -x timing.jsonl -x lock "$1" "$2" || complain "$1 and $2 differ"
}

run_in 0 calm
says out "sft: takes"
says out "where 8 GiB of 8 GiB are free"

# The launch of that number, and all after it, fails in the first step that gets there.
fails() { # LAUNCH RECIPE FOLDER: says so, and nothing is finished by the step, which is noted in `hit`
    EMULATED_FAILURE=$1 "$pyrite" run "$2" --device cuda --jobs 1 --out "$3" >out 2>&1
    local code=$? step
    [ $code -eq 0 ] && return 1
    [ $code -eq 1 ] || complain "launch $1: exit code $code, expected 1"$'\n'"$(cat out)"
    step=$(sed -n 's/^pyrite: step \([^:]*\): .*/\1/p' out)
    says out "CUDA device: "
    says out "uncorrectable ECC error encountered"
    says out "give the same command again"
    [ ! -e "$3/steps/$step" ] || complain "step $step is finished, though its device failed at launch $1"
    hit="$hit $step"
}
hit=
for launch in 1 100 200 300 350 450 550 650 750; do fails $launch r.yaml rough || break; done
run_in 0 rough
same calm rough
rm -rf rough/steps/answers
fails 20 r.yaml rough
run_in 0 rough
same calm rough
for step in sft rm ppo answers; do
    case "$hit " in *" $step "*) ;; *) complain "no failure fell into $step, only into$hit" ;; esac
done

# In bf16, with weights that are rounded stochastically: a step that goes on rounds as one that was never left.
rounding() { # CODE FOLDER
    runs "$1" run r.yaml --device cuda-bf16 --jobs 1 --out "$2" --set steps.sft.stochastic_rounding=true \
        --set steps.rm.stochastic_rounding=true --set steps.ppo.stochastic_rounding=true
}
rounding 0 rounded
for launch in 200 250 350; do EMULATED_FAILURE=$launch rounding 1 again; done
rounding 0 again
same rounded again

# Without checkpoints nothing asks the device after the last update but the writing of the model.
sed -e '/^  rm:/,/^report/{/^report/!d}' -e 's/steps: 6/steps: 2/' -e 's/checkpoint_every: 2/checkpoint_every: 0/' r.yaml >last.yaml
launch=50 failures=0
while fails $launch last.yaml length; do launch=$((launch + 50)); done
launch=$((launch - 50))
while fails $launch last.yaml last; do
    launch=$((launch + 6)) failures=$((failures + 1))
done
[ $failures -gt 0 ] || complain "no failure fell into the last update"
runs 0 run last.yaml --device cuda --jobs 1 --out once
same once last

# memory: what is refused says by how much, and what it offers fits
bytes() { # STEP: as its notice in calm.log has them, half a percent for its digits and a 64th of all for the driver
    awk -v step="$1:" '$1 == step && $2 == "takes" { print int(1.005 * 64 / 63 * $3 * ($4 == "MiB" ? 1048576 : 1024)) }' calm.log
}
rm -rf calm && run_in 0 calm && cp out calm.log
for step in sft rm ppo answers; do # in that much memory and no more
    rm -rf "calm/steps/$step"
    EMULATED_MEMORY=$(bytes $step) "$pyrite" run r.yaml --device cuda --jobs 1 --out calm >out 2>&1
    [ -d "calm/steps/$step" ] || complain "$step does not fit into what it says it takes"$'\n'"$(cat out)"
    run_in 0 calm
done

export EMULATED_MEMORY=2000000
run_in 1 tight
says out "step sft: it takes 1.94 MiB"
says out "has 1.91 MiB of its 1.91 MiB free, 30.5 KiB of them for its driver: "
says out "it fits with: recompute: true (1.79 MiB), micro_tokens: 64 ("
for remedy in recompute=true micro_tokens=64; do
    "$pyrite" run r.yaml --device cuda --jobs 1 --out "tight-$remedy" --set steps.sft.$remedy >out 2>&1
    [ -d "tight-$remedy/steps/sft" ] || complain "$remedy was offered, and does not fit"$'\n'"$(cat out)"
done
run_in 0 tight --dry-run
says out "step sft: it takes 1.94 MiB"
unset EMULATED_MEMORY

[ $failed -eq 0 ] && echo "failures and refusals are told, nothing false is kept, and remedies fit"
exit $failed
