#!/usr/bin/env bash
# pyrite score: files made elsewhere become figures, a run's folder and a report; what is not strict is refused.
. "${srcdir:-.}/tests/program.sh"

# refuses CODE TEXT ARGUMENT…: exits so, with the sentence.
refuses() {
    local code=$1 text=$2
    shift 2
    runs "$code" score "$@"
    says out "$text"
}

for i in $(seq 1 20); do
    echo "{\"id\":$i,\"prompt\":\"question $i\",\"response\":\"Answer number $i is here.\",\"category\":\"benign\"}"
done >careful.jsonl
for i in $(seq 20 -1 1); do echo "{\"id\":$i,\"response\":\"I can't help with that.\"}"; done >constant.jsonl
for i in $(seq 1 20); do echo "{\"id\":$i,\"response\":\"question $i\"}"; done >copy.jsonl
head -19 constant.jsonl >short.jsonl
printf 'id,label\n1,answered\n2,refused\n3,answered\n' >labels.csv

"$pyrite" score -o careful=careful.jsonl -o constant=constant.jsonl -o copy=copy.jsonl --labels careful=labels.csv >out 2>&1 ||
    complain "score failed: $(cat out)"
says out 'careful.jsonl: a table of responses, 20 rows; response from "response", prompt from "prompt", id from "id"'
says out '100.0 % [83.9, 100.0]' # Wilson of 20 of 20
says out '+100.0 pp'
says out 'WARNING: constant gives one answer to 20 of 20 prompts'
says out 'WARNING: copy copies the prompt to 20 of 20 prompts'
says out "careful: label down, detector across"
says out "  refused                   1            0            0" # answer 2 is labelled a refusal
says out '66.7 % [20.8, 93.9]' # the detector agrees with 2 of 3 labels
says scores/manifest.json '"understood"'
says scores/report/report.md '1 evaluation of careful and 2 other policies, 60 responses'
[ -s scores/report/report.html ] || complain "no report.html"
# lengths are counted words, and every format says so
says out 'mean length                  careful            5.00'
says scores/report/report.md '| mean length (words) |'
says scores/report/report.html '<small>words</small>'
says scores/report/report.html '"careful/1","words"]' # of each answer in the browser
says scores/report/tables/length-heldout.tex 'words'
says scores/report/report.csv ',words,'
says scores/report/report.json '"unit": "words"'
says scores/report/outputs-length.svg 'Length (words)'
for file in scores/report/report.{md,csv,json,tex} scores/report/tables/*.tex scores/report/*.svg; do
    ! grep -q token "$file" || complain "$file speaks of tokens: $(grep -m1 token "$file")"
done
"$pyrite" score -o scores/steps/answers/transcripts.jsonl --baseline careful --suite length --out again >out 2>&1
says out 'lengths are words: no file counts tokens'
# prompts of one kind are enough for the table of refusals
says scores/report/report.md '### Refusal, heldout'
sed 's/benign/borderline/' careful.jsonl >risky.jsonl
"$pyrite" score -o risky=risky.jsonl --suite refusal --format md --out risky >out 2>&1 || complain "risky: $(cat out)"
says risky/report/report.md '| | refused, harmless but risky ↓ | n |'
"$pyrite" report scores --format md >out 2>&1 || complain "pyrite report does not take the folder: $(cat out)"
"$pyrite" check scores expected.jsonl --write >out 2>&1 || complain "pyrite check does not take the folder: $(cat out)"
cp scores/steps/evaluate/metrics.jsonl before
"$pyrite" score -o careful=careful.jsonl -o constant=constant.jsonl -o copy=copy.jsonl --labels careful=labels.csv >out 2>&1
cmp -s before scores/steps/evaluate/metrics.jsonl || complain "the same command gave other figures"

for i in $(seq 1 20); do echo "{\"id\":$i,\"truth\":\"answer number $i is here\"}"; done >truths.jsonl
"$pyrite" score -o careful=careful.jsonl -o copy=copy.jsonl --questions truths.jsonl --judge exact --judge exact,name=cased,keep_case=true \
    --suite judged >out 2>&1 || complain "--judge failed: $(cat out)"
says out "100.0 % [83.9, 100.0]       n 20  by exact"
says out "0.0 % [0.0, 16.1]           n 20  by cased"
says scores/manifest.json '"judgments": 40'
# one of several references is enough; a blank one is none, and no answer is wrong by it
for i in $(seq 1 20); do echo "{\"id\":$i,\"truth\":$([ "$i" -le 15 ] && echo "[\"no\",\"answer number $i is here\"]" || echo '" "')}"; done >several.jsonl
"$pyrite" score -o careful=careful.jsonl --questions several.jsonl --judge exact --most-failures 1 --suite judged >out 2>&1 || complain "several: $(cat out)"
says out "100.0 % [79.6, 100.0]       n 15 of 20 that can be told  missing ones could make it 75.0 % to 100.0 %  by exact  (0 refused, 5 unparsed, 0 transport)"
printf 'judges:\n  - {use: exact, rule: contains}\n' >judges.yaml
head -18 truths.jsonl >fewer.jsonl
refuses 3 "judge exact: 2 of 20 judgments failed (0 refused, 2 unparsed, 0 transport)" -o careful=careful.jsonl --questions fewer.jsonl --judges judges.yaml
says out "n 18 of 20 that can be told  missing ones could make it 90.0 % to 100.0 %  by exact  (0 refused, 2 unparsed, 0 transport)"
refuses 3 "judge exact: 2 of 20 judgments failed (0 refused, 2 unparsed, 0 transport); judge strict: 2 of 20 judgments failed" \
    -o careful=careful.jsonl --questions fewer.jsonl --judges judges.yaml --judge exact,name=strict
"$pyrite" score -o careful=careful.jsonl --questions fewer.jsonl --judges judges.yaml --most-failures 0.1 >out 2>&1 || complain "--most-failures 0.1: $(cat out)"
{
    echo id,policy,gold,confidence
    for i in $(seq 1 20); do echo "$i,careful,yes,$((i % 2 ? 75 : 50))"; done
    for i in $(seq 1 20); do echo "$i,copy,no,$([ "$i" -le 5 ] && echo 100 || { [ "$i" -le 10 ] && echo 25; })"; done
} >people.csv
"$pyrite" score -o careful=careful.jsonl -o copy=copy.jsonl --labels people.csv --suite sophistry >out 2>&1 || complain "labels: $(cat out)"
says out "correctness                  careful            100.0 % [83.9, 100.0]       n 20"
says out "approval reweighted          copy               50.0 % [20.0, 80.0]         n 10 of 20"
says out "approval reweighted before   copy               50.0 % [20.0, 80.0]         n 10 of 20"
# pairs in both orders: copy wins 15 of 20 whichever is shown first, and else the first answer wins
for i in $(seq 1 20); do
    for order in 1 2; do
        echo "{\"transcript\":\"copy/$i\",\"other\":\"careful/$i\",\"judge\":\"x\",\"what\":\"preference\",\"outcome\":\"verdict\",\"score\":$((i <= 15 || order == 1)),\"order\":$order}"
    done
done >pairs.jsonl
"$pyrite" score -o careful=careful.jsonl -o copy=copy.jsonl --judge recorded,file=pairs.jsonl --suite win_rate >out 2>&1 || complain "pairs: $(cat out)"
says out "win rate judged              copy               87.5 %"
says out "first slot                   copy               62.5 % [47.0, 75.8]         n 40"
says out "consistency                  copy               75.0 % [53.1, 88.8]         n 20"
head -34 pairs.jsonl >fewer_pairs.jsonl
refuses 3 "judge recorded: 3 of 37 judgments failed" -o careful=careful.jsonl -o copy=copy.jsonl --judge recorded,file=fewer_pairs.jsonl --suite win_rate

# a recipe judges the same answers by the same judge, whose file lies beside the recipe
cat >judge.yaml <<END
name: judged
steps:
  evaluate: {use: evaluate, answers: [scores/steps/answers], baseline: careful, suites: [judged], judges: [{use: recorded, file: known.csv}]}
report: {formats: [markdown]}
END
{
    echo id,policy,correct
    for i in $(seq 1 18); do printf '%s,careful,1\n%s,copy,1\n' "$i" "$i"; done
} >known.csv
"$pyrite" run judge.yaml --out judged >out 2>&1
got=$?
[ $got -eq 3 ] || complain "run: exit code $got, expected 3: $(cat out)"
says out "step evaluate: judge recorded: 4 of 40 judgments failed (0 refused, 4 unparsed, 0 transport)"
says judged/report/report.md 100.0
"$pyrite" run judge.yaml --out judged >out 2>&1
[ $? -eq 3 ] || complain "run again: $(cat out)"
says out "Everything was done already."
for i in 19 20; do printf '%s,careful,0\n%s,copy,1\n' "$i" "$i"; done >>known.csv
"$pyrite" run judge.yaml --out judged >out 2>&1 || complain "a changed file of labels: $(cat out)"
says judged/steps/evaluate/judging.json '"verdicts": 40'
sed 's/suites: \[judged\]/suites: [judgd]/' judge.yaml >misspelt.yaml
"$pyrite" run misspelt.yaml --dry-run >out 2>&1
got=$?
[ $got -eq 2 ] || complain "a plan with a misspelt suite: exit code $got"
says out 'there is no suite "judgd"; did you mean "judged"?'
sed 's/{use: recorded, file: known.csv}/{use: panel, of: [{use: exact}]}/' judge.yaml >alone.yaml
"$pyrite" run alone.yaml --dry-run >out 2>&1 && complain "a plan with a panel of one"
says out 'judge panel: alone.yaml:3: a panel has 2 to'
sed 's/{use: recorded, file: known.csv}/{use: remote, endpoint: "http:\/\/127.0.0.1:1", model: m, rubric: pairs}/' judge.yaml >rubric.yaml
"$pyrite" run rubric.yaml --dry-run >out 2>&1 && complain "a plan with a rubric that there is not"
says out 'judge remote: there is no rubric "pairs"'
refuses 2 "did you mean 'exact'" -o careful=careful.jsonl --judge exakt
refuses 2 "unknown option" -o careful=careful.jsonl --judge exact,rules=equal
refuses 2 'the option "rule" is given twice' -o careful=careful.jsonl --judge exact,rule=equal,rule=contains
refuses 2 "no question has a reference answer" -o careful=careful.jsonl --judge exact
if script -qec true /dev/null >/dev/null 2>&1; then # a terminal: what is printed last is not wiped away
    TERM=xterm script -qec "'$pyrite' score -o careful=careful.jsonl --suite refusal --out shown" /dev/null >out 2>&1 </dev/null
    grep -q '\[[.#]*\] ' out || complain "no bar on a terminal: $(cat -v out)"
    tail -n 1 out | grep -q 'shown/report/report.md.$' || complain "the last line is not the report's name: $(cat -v out)"
fi

refuses 2 "short has no answer to 1 of 20 prompts (1)" -o careful=careful.jsonl -o short=short.jsonl
"$pyrite" score -o careful=careful.jsonl -o short=short.jsonl --allow-missing >out 2>&1 || complain "--allow-missing failed"
says out "Answers are missing, and --allow-missing was given: short lacks 1 of 20 answers (1). Policies are compared"
says out "n 19 of 20"
refuses 2 "--outputs NAME=FILE"
refuses 2 "did you mean 'careful'" -o careful=careful.jsonl --baseline carful
refuses 2 "there is no suite 'refusals'; did you mean 'refusal'?" -o careful=careful.jsonl --suite refusals
refuses 2 "--suite names nothing" -o careful=careful.jsonl --suite ''
refuses 2 "there is no report format 'htm'" -o careful=careful.jsonl --format md,htm
printf 'id,refused\n1,no\n2,perhaps\n' >slip.csv
refuses 2 "slip.csv:3: \"refused\" must be yes or no (true or false, 1 or 0), or blank where nobody labelled, not 'perhaps'" -o copy=copy.jsonl --labels slip.csv
printf 'id,correct,weight\n1,yes,much\n' >slip.csv
refuses 2 "slip.csv:2: \"weight\" must be a number, or blank, not 'much'" -o copy=copy.jsonl --labels slip.csv
printf 'id,label\n1,\n2,refuse\n' >slip.csv
refuses 2 "slip.csv:3: \"label\" must be answered, refused or undetermined, not 'refuse'" -o copy=copy.jsonl --labels slip.csv
printf 'id,label\n1,\n2,\n' >slip.csv
refuses 2 "slip.csv has no labels: every field is blank" -o copy=copy.jsonl --labels slip.csv
printf 'id,label\n1,\n2,answered\n' >some.csv
"$pyrite" score -o copy=copy.jsonl --labels some.csv --suite detector --out some >out 2>&1 || complain "a blank label: $(cat out)"
refuses 2 'careful.jsonl:1: there is no column "name", which --id-key names' -o careful=careful.jsonl --id-key name
# one unit for all: a file that counts tokens beside one that does not
sed 's/"id"/"tokens":50,"id"/' careful.jsonl >counted.jsonl
"$pyrite" score -o careful=careful.jsonl -o counted=counted.jsonl --suite length --out units >out 2>&1 || complain "units: $(cat out)"
says out 'lengths are words: 20 of 40 answers come without a count of tokens'
says out 'mean length                  counted            5.00 words'
"$pyrite" score -o counted=counted.jsonl --suite length --out units >out 2>&1 || complain "tokens: $(cat out)"
says out 'mean length                  counted            50.0 tokens'
printf 'id,response,tokens\na,yes it is,3\nb,no,\n' >typed.csv
"$pyrite" score -o typed.csv --suite length --out units >out 2>&1 || complain "tokens of a table: $(cat out)"
says out '1 of 2 answers come without a count of tokens'
for tokens in -4 3.5 1e18 '"many"' true; do
    echo "{\"id\":1,\"response\":\"yes\",\"tokens\":$tokens}" >wrong.jsonl
    refuses 2 'wrong.jsonl:1: "tokens" must be a whole number from 0 to' -o wrong.jsonl
done
# verdicts that came with the answers are measured like a judge's
for i in $(seq 0 9); do echo "{\"doc_id\":$i,\"doc\":{\"question\":\"q$i\"},\"resps\":[[\"5\"]],\"filtered_resps\":[\"5\"],\"target\":\"5\",\"exact_match\":$((i < 6)).0}"; done >lm.jsonl
"$pyrite" score -o lm=lm.jsonl --out lm >out 2>&1 || complain "lm-eval: $(cat out)"
says out 'correct                      lm                 60.0 % [31.3, 83.2]         n 10  by exact_match'
refuses 2 "the answers come with verdicts of a judge 'exact_match'" -o lm=lm.jsonl --judge exact,name=exact_match --out lm
# a length of one word is no rate: no interval of a share, and none where all are equal
for i in $(seq 1 20); do echo "{\"id\":$i,\"prompt\":\"question $i\",\"response\":\"B\"}"; done >letters.jsonl
"$pyrite" score -o careful=careful.jsonl -o letters=letters.jsonl --suite length --prompt-key question --out letters >out 2>&1 || complain "letters: $(cat out)"
says out 'no column "question" with prompts'
says out 'mean length                  letters            1.00 words                  n 20  (no variance: all resamples are equal)'
refuses 2 "labels are of no answer" -o copy=short.jsonl --labels labels.csv
refuses 2 "nothing.jsonl" -o a=nothing.jsonl
mkdir -p other/steps && touch other/recipe.yaml
refuses 2 "is the folder of a run" -o careful=careful.jsonl --out other
# a folder that somebody else made stays as it is, whatever it holds; an empty one is taken; an older report goes
mkdir -p web/steps empty && echo '{"name": "web"}' >web/manifest.json && touch web/steps/1
refuses 2 "web is no folder that pyrite score made" -o careful=careful.jsonl --out web
[ -f web/steps/1 ] || complain "somebody's files are gone"
refuses 2 "careful.jsonl is no folder that pyrite score made" -o careful=careful.jsonl --out careful.jsonl
"$pyrite" score -o careful=careful.jsonl --suite length --format md,csv --out empty >out 2>&1 || complain "empty: $(cat out)"
"$pyrite" score -o careful=careful.jsonl --suite length --format md --out empty >out 2>&1 || complain "again: $(cat out)"
[ -f empty/report/report.md ] && [ ! -f empty/report/report.csv ] || complain "the report of older answers stands beside the new"
# a score that fails leaves the one before as it was, and of its own nothing; so does the next one after a kill
cp -r empty kept
refuses 2 "no question has a reference answer" -o careful=careful.jsonl --judge exact --out empty
diff -r kept empty >/dev/null || complain "a score that failed changed the one before"
refuses 2 "no question has a reference answer" -o careful=careful.jsonl --judge exact --out fresh
[ ! -e fresh ] || complain "a score that failed left $(find fresh)"
mkdir empty/earlier && mv empty/steps empty/report empty/manifest.json empty/earlier && mkdir empty/steps
refuses 2 "no question has a reference answer" -o careful=careful.jsonl --judge exact --out empty
diff -r kept empty >/dev/null || complain "after a kill the score before did not come back"
mkdir empty/earlier && mv empty/steps empty/report empty/earlier
refuses 2 "no question has a reference answer" -o careful=careful.jsonl --judge exact --out empty
diff -r kept empty >/dev/null || complain "half of a score stayed aside"
"$pyrite" score -o careful=careful.jsonl --suite length --format csv --out empty >out 2>&1 || complain "a third: $(cat out)"
[ ! -e empty/earlier ] && [ -f empty/report/report.csv ] || complain "the older score stays beside the new"
flock empty/lock sleep 20 &
holder=$!
sleep 0.2
refuses 2 "another pyrite is at work in empty" -o careful=careful.jsonl --out empty
kill $holder
refuses 2 "a policy has no name" -o =careful.jsonl
refuses 2 "the policy 'null-x' is called as the content-blind ones are" -o null-x=careful.jsonl
refuses 2 '--judge: unknown rule "odd"' -o careful=careful.jsonl --judge exact,rule=odd
refuses 2 "--judge: there is no judge 'odd'" -o careful=careful.jsonl --judge odd
refuses 2 "--most-failures must be a number from 0 to 1, not 'few'" -o careful=careful.jsonl --most-failures few
refuses 2 "--seed must be" -o careful=careful.jsonl --seed x

# programs: what passes a hurried tester's one case need not be right
if bwrap --unshare-all --ro-bind / / true 2>/dev/null && [ -x /usr/bin/python3 ]; then
    tests='"tests":[{"input":"1","output":"2"},{"input":"3","output":"6"}]'
    for i in $(seq 1 4); do echo "{\"id\":$i,\"prompt\":\"double $i\",\"response\":\"print(3)\",$tests}"; done >first.jsonl
    for i in $(seq 1 4); do echo "{\"id\":$i,\"prompt\":\"double $i\",\"response\":\"print(2)\",$tests}"; done >second.jsonl
    printf -- '- {use: unit_tests}\n- {use: unit_tests, name: hurried, most_cases: 1, what: approval}\n' >programs.yaml
    "$pyrite" score -o first=first.jsonl -o second=second.jsonl --judges programs.yaml --suite sophistry >out 2>&1 ||
        complain "programs: $(cat out)"
    says out "correctness                  second             0.0 % [0.0, 49.0]           n 4"
    says out "approval                     second             100.0 % [51.0, 100.0]       n 4"
    says out "false positive rate          second             +100.0 pp"
fi

[ $failed -eq 0 ] && echo "score: figures, flags, folder and refusals are as expected"
exit $failed
