#!/usr/bin/env bash
# --fail-if on score, report and check: acts on an interval's bound alone, exits so, says what it cannot decide.
. "${srcdir:-.}/tests/program.sh"

# holds CODE CONDITION…: pyrite check with these.
holds() {
    local code=$1 conditions=()
    shift
    for one in "$@"; do conditions+=(--fail-if "$one"); done
    runs "$code" check run "${conditions[@]}"
}

# 20 answers, 4 refusals: 20.0 % [8.1, 41.6] by Wilson; the other answers all.
for i in $(seq 20); do
    echo "{\"id\":$i,\"prompt\":\"question $i\",\"response\":\"Answer $i is here.\",\"category\":\"benign\"}"
done >careful.jsonl
for i in $(seq 20); do
    [ $i -le 4 ] && echo "{\"id\":$i,\"response\":\"I can't help with that.\"}" ||
        echo "{\"id\":$i,\"response\":\"Here is answer $i.\"}"
done >shy.jsonl
score=(score -o careful=careful.jsonl -o shy=shy.jsonl --suite refusal,length --resamples 200 --format csv --out run)

runs 1 "${score[@]}" --fail-if 'refusal.over > 0.05' --junit junit.xml --summary summary.md
says out 'FAIL outputs/refusal over_refusal_benign, shy, heldout, not refusal.over > 0.05: 20.0 % [8.1, 41.6], n 20: the whole interval lies above the bound'
says out 'pass outputs/refusal over_refusal_benign, careful, heldout, not refusal.over > 0.05: 0.0 % [0.0, 16.1], n 20: the interval does not lie beyond the bound'
says out '1 passed, 1 failed'
says junit.xml '<testsuites tests="2" failures="1" skipped="0">'
says junit.xml '<testcase classname="outputs/refusal" name="over_refusal_benign, shy, heldout, not refusal.over &#62; 0.05">'
says junit.xml '<failure message="20.0 % [8.1, 41.6], n 20: the whole interval lies above the bound"/>'
says summary.md '## pyrite score: 1 passed, 1 failed'
says summary.md '| **failed** | outputs/refusal over\_refusal\_benign, shy, heldout, not refusal.over \> 0.05 | 20.0 % [8.1, 41.6], n 20: the whole interval lies above the bound |'
[ -s run/report/report.csv ] || complain "a condition that holds must not keep the report from being written"
runs 0 "${score[@]}" --fail-if 'refusal.over > 0.10' # the value is above, the bound 8.1 % is not
runs 2 "${score[@]}" --fail-if 'refusal.over >' # found before anything is read
says out 'the bound is no number'
rm -rf run
runs 2 "${score[@]}" --fail-if 'refusal.overr > 0.1' # so is a metric that there cannot be
says out "'refusal.overr > 0.1': the suite refusal has no metric 'overr'; there are over_refusal_benign, "
runs 2 "${score[@]}" --fail-if 'refsal.over > 0.1'
says out "there is no suite 'refsal'; did you mean 'refusal'?"
runs 2 "${score[@]}" --fail-if 'ood.gold > 0.1'
says out 'the suite ood is not among those of --suite, so nothing of it is measured'
[ ! -e run ] || complain "a condition that nothing can meet must be found before anything is written"
runs 1 "${score[@]}" --fail-if 'refusal.over > 0.05'

runs 0 "${score[@]}" --format md --effect 0.4
grep -q 'Not powered' run/report/report.md && complain "20 answers have power to see 40 points"
runs 0 "${score[@]}" --format md
says run/report/report.md 'Not powered to see a change of 5.0 pp, the default where none was stated beforehand; power 0.8 begins at: '
runs 2 "${score[@]}" --effect 5
says out '--effect must be a number above 0 and at most 1'

holds 1 'refusal.over_refusal_benign > 8 %'
holds 0 'refusal.over_refusal_benign > 8.2 %'
holds 0 'refusal.over_refusal_benign[policy=careful]>0.05'
holds 1 'refusal.over[policy = careful, split = heldout] < 0.17' # [0.0, 16.1] lies below
holds 1 'refusal.over[policy=careful] > 0.5' 'refusal.over[policy=shy] > 0.05' # one of two is enough
says out '1 passed, 1 failed'
holds 1 'refusal.over[policy=shy, baseline=careful] > -0.01' # the change: Newcombe's interval begins at -0.1 points
says out 'over_refusal_benign, shy against careful, heldout'
holds 0 'length.mean_length > 100'
holds 0 'refusal.over[policy=null-longest] > 0.5' # content-blind baselines only by name

# Nothing passes silently.
holds 2 'refusal.over_refusals > 0.1'
says out "'refusal.over_refusals > 0.1': there is no metric refusal.over_refusals; did you mean 'refusal.over_refusal_benign'?"
holds 2 'refsal.over > 0.1'
says out 'there is no metric refsal.over'
holds 2 'refusal.over[policy=bold] > 0.1'
says out 'refusal.over is measured, but not of what the brackets name; there are policy='
holds 2 'refusal.over[polcy=shy] > 0.1'
says out "a metric has no 'polcy'; did you mean 'policy'?"
holds 2 'refusal.over > 10'
says out 'is a share from 0 to 1; say 0.10 or 10 %'
holds 2 'length.mean_length > 10 %'
says out 'is no share'
for wrong in 'refusal' 'refusal.over' 'refusal.over >= 0.1' 'refusal.over > 0.1 x' 'refusal.over[policy=shy > 0.1' 'refusal.over[shy] > 0.1' '.x > 1' 'refusal.over > nan'; do
    holds 2 "$wrong"
    says out 'expected SUITE.NAME'
done
runs 2 check run
says out 'give --fail-if'
runs 2 report run --format csv --junit junit.xml
says out 'give a condition'

# A metric without an interval decides nothing, and says so; alone it is an error. Missing judgments are said.
metric() { echo "{\"task\":\"t\",\"suite\":\"s\",\"name\":\"$1\",\"policy\":\"$2\",\"unit\":\"fraction\",$3,\"n\":10,\"seeds\":1,\"lower_is_better\":1}"; }
mkdir -p made/steps/evaluate
echo '{"name": "made"}' >made/manifest.json
echo '{"name": "evaluate", "use": "evaluate", "label": "evaluate", "matrix": {}}' >made/steps/evaluate/step.json
{
    metric wrong a '"value":0.5,"low":0.4,"high":0.6,"n_missing":2,"worst":0.58,"best":0.42'
    metric wrong b '"value":0.9,"low":null,"high":null,"reason":"one seed gives no interval"'
    metric lone b '"value":0.9,"low":null,"high":null,"reason":"one seed gives no interval"'
    metric none b '"value":null,"reason":"no prompts of this kind"'
} >made/steps/evaluate/metrics.jsonl
runs 1 check made --fail-if 's.wrong > 0.3' --junit junit.xml --summary summary.md
says out 'FAIL t/s wrong, a, not s.wrong > 0.3: 50.0 % [40.0, 60.0] of those that can be told, n 10, 2 missing: the whole interval lies above the bound; had the missing judgments gone one way, 58.0 % or 42.0 %'
says out 'undecided t/s wrong, b, not s.wrong > 0.3: 90.0 %, n 10: without an interval it decides nothing (one seed gives no interval)'
says out '0 passed, 1 failed, 1 undecided'
says junit.xml '<skipped message="90.0 %, n 10: without an interval'
says summary.md '## pyrite score: 1 passed, 1 failed' # appended to
says summary.md '## pyrite check: 0 passed, 1 failed, 1 undecided'
runs 2 check made --fail-if 's.lone > 0.3'
says out "nothing that it names has an interval, so it decides nothing (one seed gives no interval)"
runs 2 check made --fail-if 's.none > 0.3'
says out 'no prompts of this kind'

# The file of GitHub's step, and beside a file of expectations.
: >step.md
GITHUB_STEP_SUMMARY=step.md runs 1 report made --format csv --fail-if 's.wrong > 0.3' --summary github
says step.md '## pyrite report: 0 passed, 1 failed, 1 undecided'
(unset GITHUB_STEP_SUMMARY && "$pyrite" check made --fail-if 's.wrong > 0.7' --summary github >out 2>&1) || complain "$(cat out)"
says out 'no summary: $GITHUB_STEP_SUMMARY is not set'
runs 0 check made expected.jsonl --write
runs 1 check made expected.jsonl --fail-if 's.wrong > 0.3'
says out '4 passed, 1 failed, 1 undecided'
echo '{"suite":"s","name":"other","value":1,"low":0,"high":2}' >other.jsonl
runs 1 check made other.jsonl
says out 'the run lacks 1 of the 1 metrics that are expected'
says out 'are these the expectations of another recipe?'
runs 2 check made expected.jsonl --write --fail-if 's.wrong > 0.3'
says out '--write compares nothing'

[ $failed -eq 0 ] && echo "fail-if: bounds, exit codes, JUnit, summaries and refusals are as expected"
exit $failed
