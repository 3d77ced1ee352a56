#!/usr/bin/env bash
# Training shared by ranks under mpirun: the same gradients and samples as one process, the same bytes again, a
# run that another number of ranks goes on with, and failures of one rank.
. "${srcdir:-.}/tests/program.sh"
source=$(cd "$OLDPWD" && realpath "${srcdir:-.}")
. "$source/tests/ranks.sh"
show=$(dirname "$pyrite")/tests/show_ranks
device=cpu
recipe=$source/tests/tiny.yaml

alone one
ranks 2 two
ranks 2 again
ranks 3 three
ranks 4 four
# Adapters of a megabyte a layer, whose gradients leave layer by layer too.
alone adapter 96
for n in 2 3; do ranks $n adapter-$n 96 adapter; done
cmp two/checkpoint again/checkpoint || complain "two ranks end in other bytes when they are run again"
whole=$(awk '/^moments/ { print $4 }' one/said)
for n in 2 4; do
    folder=$([ $n = 2 ] && echo two || echo four)
    says "$folder/said" "moments $(((whole + n - 1) / n)) of $whole at most"
done

# together N OUT ARGUMENT…: the recipe by N ranks.
quick=(--threads 1 --set 'matrix.seed=[1]' --set steps.ppo.iterations=2 --set 'steps.ppo.matrix.kind=[scalar]'
    --set 'steps.rm.matrix.kind=[scalar]' --set 'steps.answers.matrix.policy=[sft]' --set report.formats=[json])
together() {
    local count=$1 out=$2
    shift 2
    mpirun -np "$count" "$pyrite" run "$recipe" "${quick[@]}" --out "$out" "$@"
}
runs 0 run "$recipe" "${quick[@]}" --out single
together 2 double >out 2>&1 || complain "two ranks: $(cat out)"
near {single,double}/steps/safety/1/sft/log.jsonl loss gradient
near {single,double}/steps/safety/1/rm/scalar/log.jsonl loss
grep -c 'safety/1/ppo/scalar: started' out | grep -qx 1 || complain "not said once: $(cat out)"
cp -r double once-more && rm -rf once-more/steps/safety/{1/{sft,rm,ppo},evaluate} once-more/report
together 2 once-more >out 2>&1 || complain "two ranks again: $(cat out)"
diff -r -x run.db -x 'run.db-*' -x timing.jsonl -x lock double once-more || complain "two ranks again end in other bytes"
# From the same policy the first iteration is the same to the last digit.
cp -r single split && rm -rf split/steps/safety/{1/ppo,evaluate} split/report
together 4 split >out 2>&1 || complain "four ranks: $(cat out)"
[ "$(first_row single/steps/safety/1/ppo/scalar/log.jsonl)" = "$(first_row split/steps/safety/1/ppo/scalar/log.jsonl)" ] ||
    complain "four ranks' first iteration is not one's"
near {single,split}/steps/safety/1/ppo/scalar/log.jsonl reward kl length

# Adapters, in an ensemble and in a policy, from the same base: an accuracy may hang on its last digit.
adapters=(--set 'steps.rm.matrix.kind=[ensemble]' --set 'steps.rm.settings={architecture: lora}'
    --set 'steps.rm.lora={rank: 4, dropout: 0.1}' --set 'steps.ppo.matrix.kind=[ensemble]' --set 'steps.ppo.lora={rank: 4}')
runs 0 run "$recipe" "${quick[@]}" "${adapters[@]}" --out adapted
cp -r adapted adapted-together && rm -rf adapted-together/steps/safety/{1/{rm,ppo},evaluate} adapted-together/report
together 3 adapted-together "${adapters[@]}" >out 2>&1 || complain "three ranks with adapters: $(cat out)"
near {adapted,adapted-together}/steps/safety/1/rm/ensemble/trunk/log.jsonl loss accuracy
near {adapted,adapted-together}/steps/safety/1/rm/ensemble/log.jsonl loss accuracy heldout_accuracy
near {adapted,adapted-together}/steps/safety/1/ppo/ensemble/log.jsonl reward kl length

long=(--set steps.sft.steps=160 --set steps.sft.checkpoint_every=10)
runs 0 run "$recipe" "${quick[@]}" "${long[@]}" --out straight
interrupted sft 40 mpirun -np 2 "$pyrite" run "$recipe" "${quick[@]}" "${long[@]}" --out resumed
interrupted sft 80 mpirun -np 1 "$pyrite" run "$recipe" "${quick[@]}" "${long[@]}" --out resumed
together 4 resumed "${long[@]}" >out 2>&1 || complain "four ranks did not go on: $(cat out)"
near {straight,resumed}/steps/safety/1/sft/log.jsonl loss

# One rank's failure ends all, and says which; what meets all is said once.
mpirun -np 1 "$pyrite" run "$recipe" "${quick[@]}" --out failed : -np 1 "$pyrite" run missing.yaml >out 2>&1 &&
    complain "a rank failed and the run did not"
says out "pyrite: rank 1: cannot read missing.yaml"
together 2 failed --set steps.sft.model.context=20 --set steps.sft.overlong=error >out 2>&1 &&
    complain "a step failed and the run did not"
[ "$(grep -c '^pyrite: ' out)" = 1 ] || complain "not one sentence: $(cat out)"
says out "pyrite: step safety/1/sft: "

[ $failed -eq 0 ] && echo "ranks: 2 and 4 are as good as 1"
exit $failed
