#!/usr/bin/env bash
# Training shared by ranks under mpirun: the same gradients and samples as one process, the same bytes again, a
# run that another number of ranks goes on with, and failures of one rank.
. "${srcdir:-.}/tests/program.sh"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_hwloc_base_binding_policy=none OMP_NUM_THREADS=1
show=$(dirname "$pyrite")/tests/show_ranks
recipe=$(cd "$OLDPWD" && realpath "${srcdir:-.}/tests/tiny.yaml")

command -v mpirun >/dev/null || { echo "SKIP: there is no mpirun; install openmpi-bin"; exit 77; }
mpirun -np 2 "$pyrite" run nothing.yaml >out 2>&1
if grep -q 'built without MPI' out; then
    echo "SKIP: this pyrite was built without MPI; install libopenmpi-dev and configure again"
    exit 77
fi

# ranks N FOLDER: the small model's update by N ranks, compared with one's.
ranks() {
    mkdir -p "$2"
    mpirun -np "$1" "$show" "$2" one >"$2/said" 2>&1 || complain "$1 ranks: $(cat "$2/said")"
    awk '/^distance model/ { seen++; if (!($3 <= 1e-6)) { print "FAIL: " FILENAME ": " $0; bad = 1 } }
         END { exit bad || seen != 3 }' "$2/said" || complain "$1 ranks are not one: $(cat "$2/said")"
    cmp "one/responses" "$2/responses" || complain "$1 ranks draw other responses than one"
}
mkdir one
"$show" one >one/said || complain "$(cat one/said)"
ranks 2 two
ranks 2 again
ranks 3 three
ranks 4 four
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
# near A B FIELD…: the logs' numbers agree to 1e-5.
near() {
    local a=$1 b=$2 field
    shift 2
    for field; do
        paste -d' ' <(grep -o "\"$field\":[^,}]*" "$a" | cut -d: -f2) <(grep -o "\"$field\":[^,}]*" "$b" | cut -d: -f2) |
            awk -v f="$field" '{ d = $1 - $2; if (d < 0) d = -d; s = $1 < 0 ? -$1 : $1; n++
                 if (NF != 2 || d > 1e-5 * (s > 1 ? s : 1)) { print "FAIL: " f ", row " n ": " $0; bad = 1 } }
                 END { exit bad || !n }' || complain "$a and $b differ in $field"
    done
}
first_row() { head -1 "$1" | tr , '\n' | grep -E '"(reward|gold|refused|kl|kl3|length|ended|explained_variance|repetition)"'; }

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

# interrupted COUNT LINES: COUNT ranks, killed when the log of sft has so many lines.
long=(--set steps.sft.steps=160 --set steps.sft.checkpoint_every=10)
interrupted() {
    local log=resumed/steps/safety/1/.sft.partial/log.jsonl
    setsid mpirun -np "$1" "$pyrite" run "$recipe" "${quick[@]}" "${long[@]}" --out resumed >out 2>&1 &
    for _ in $(seq 600); do
        [ "$(wc -l 2>/dev/null <"$log" || echo 0)" -ge "$2" ] && break
        sleep 0.02
    done 2>/dev/null
    kill -s KILL -- -$! 2>/dev/null || complain "$1 ranks were done before they could be killed"
    wait $! 2>/dev/null
    [ -s resumed/steps/safety/1/.sft.partial/checkpoint ] || complain "$1 ranks left no checkpoint"
}
runs 0 run "$recipe" "${quick[@]}" "${long[@]}" --out straight
interrupted 2 40
interrupted 1 80
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
together 2 failed --device cuda >out 2>&1 && complain "ranks on a GPU were not refused"
says out "on CPUs alone"

[ $failed -eq 0 ] && echo "ranks: 2 and 4 are as good as 1"
exit $failed
