#!/usr/bin/env bash
# What is wrong with names and references in a recipe of the real stages is said before anything runs.
. "${srcdir:-.}/tests/program.sh"
recipe=$(cd "$OLDPWD" && realpath "${srcdir:-.}")/recipes/check.yaml

refuses() {
    runs 2 run "$recipe" --out run --dry-run --set "$1"
    says out "$2"
}

runs 0 run "$recipe" --out run --dry-run
refuses steps.data.world=safty 'there is no world "safty"; did you mean "safety"?'
refuses 'steps.data.dials={refusal_bais: 0}' 'unknown option "refusal_bais"; did you mean "refusal_bias"?'
refuses 'steps.data.dials={refusal_bias: high}' '"refusal_bias" must be a number from 0 to 1'
refuses steps.evaluate.baseline=sftt "there are no answers of the baseline 'sftt'; did you mean 'sft'?"
runs 0 run "$recipe" --out run --dry-run --set steps.answers.name=a/b --set steps.evaluate.baseline=a-b # as transcripts have it
refuses 'steps.evaluate.suites=[lenght]' 'there is no suite "lenght"; did you mean "length"?'
refuses steps.ppo.policy=data "policy needs a step of sft|ppo, and 'data' is one of world"
refuses steps.ppo.reward=sft "reward needs a step of reward, and 'sft' is one of sft"
refuses 'steps.sft.data=[sft]' "data: the step 'sft' cannot wait for itself"
refuses 'steps.rm.reward=scaler' 'check.yaml:16: there is no reward "scaler"; did you mean "scalar"?'
[ "$(wc -l <out)" -eq 1 ] || complain "an error below half of a plan: $(cat out)"
refuses 'steps.rm.settings={l3: 1}' 'step safety/1/rm/scalar: ' # with the recipe's line, as all options
says out 'check.yaml:13: unknown option "l3"'
refuses 'steps.sft.lora={rnk: 4}' 'check.yaml:12: unknown option "rnk"'
[ ! -e run ] || complain "a recipe that was refused left a folder"
exit $failed
