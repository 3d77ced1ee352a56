#!/usr/bin/env bash
# Files of other tools through the program: what each is understood as, figures that one can work by hand, what is
# refused and with which rows, and that no file, however broken, brings the program down.
. "${srcdir:-.}/tests/program.sh"

# twelve FORMAT: lines 1 to 12, with the number for each %d.
twelve() { for i in $(seq 1 12); do echo "${1//%d/$i}"; done; }

# Tables: .jsonl, .csv, .json, each .gz or not, joined by id in any order.
twelve '{"id":"q%d","prompt":"question %d","response":"The answer is %d."}' >a.jsonl
{ echo id,response; for i in $(seq 12 -1 1); do echo "q$i,\"I can't help, sorry.\""; done; } >b.csv
{ echo '['; twelve '{"id":"q%d","response":"Sure: %d."},' | sed '$s/,$//'; echo ']'; } >c.json
gzip -k a.jsonl b.csv c.json
for ending in '' .gz; do
    runs 0 score -o a=a.jsonl$ending -o b=b.csv$ending -o c=c.json$ending --suite refusal -f markdown
    says out "a.jsonl$ending: a table of responses, 12 rows; response from \"response\", prompt from \"prompt\", id from \"id\""
    says out '100.0 % [75.8, 100.0]' # Wilson of 12 of 12: b refuses
    says out '0.0 % [0.0, 24.2]'
    says out '+100.0 pp'
done

# Other tools' files, each as it is written there.
twelve '{"instruction":"question %d","output":"Answer %d","generator":"m"}' | { echo '['; paste -sd, ; echo ']'; } >alpaca.json
runs 0 score -o alpaca.json --suite refusal -f csv
says out 'alpaca.json: a table of responses, 12 rows; response from "output", prompt from "instruction", id: the prompt'"'"'s hash'
says out ' m '
twelve '{"instruction":"question %d","output_1":"b %d","output_2":"a longer m %d","generator_1":"b","generator_2":"m","preference":1.75,"annotator":"g"}' |
    { echo '['; paste -sd, ; echo ']'; } >annotations.json
runs 0 winrate annotations.json --baseline b
says out 'annotations.json: alpaca_eval annotations (preference 2: output_2 wins), 12 rows'
says out '75.0 %'
sed 's/a longer m/another n/g; s/"generator_2":"m"/"generator_2":"n"/g; s/1.75/1.25/g' annotations.json >second.json
runs 0 winrate annotations.json second.json --baseline b # b's answers stand in both, word for word
says out '75.0 %'
says out '25.0 %'
sed 's/"output_1":"b/"output_1":"changed/g' second.json >changed.json
sed 's/1.25/0/g' second.json >draws.json
runs 0 winrate draws.json --baseline b
says out '50.0 %'
runs 2 winrate annotations.json changed.json --baseline b
says out 'stand twice'
runs 0 score -o annotations.json --suite degenerate -f csv
says out 'alpaca_eval annotations'
twelve '{"question_id":"q%d","model_id":"m","choices":[{"index":0,"turns":[{"content":"turn %d"}]}]}' >arena_answers.jsonl
runs 0 score -o arena_answers.jsonl --suite degenerate -f csv
says out 'arena_answers.jsonl: MT-bench or arena-hard answers (first turn of the first choice), 12 rows'
twelve '{"uid":"u%d","model":"m","messages":[{"role":"user","content":"Q%d"},{"role":"assistant","content":{"answer":"A%d"}}]}' >arena2.jsonl
runs 0 score -o arena2.jsonl --suite degenerate -f csv
says out 'conversations (arena-hard v2 answers, chats): the last turn is the answer, 12 rows'
twelve '{"question_id":"q%d","model":"m","judge":"g","games":[{"score":"B>A"},{"score":"A>>B"}]}' >arena.jsonl
runs 0 winrate arena.jsonl
says out 'arena-hard judgments (game 1: the baseline is A, game 2: the model), 12 rows'
says out '100.0 % [75.8, 100.0]'
says out '12/12'
twelve '{"question_id":%d,"model_1":"x","model_2":"y","judge":["g","pair-v2"],"g1_winner":"model_1","g2_winner":"model_2"}' >mt.jsonl
runs 0 winrate mt.jsonl --baseline y --rule mt-bench
says out 'MT-bench judgments (g1: model_1 first; a score of -1 is none), 12 rows'
says out '50.0 %' # the judge takes whoever is first: a tie by that rule
twelve '{"question_id":%d,"model_a":"x","model_b":"y","winner":"model_a","judge":"p1","conversation_a":[{"role":"user","content":"Q"},{"role":"assistant","content":"long x %d"}],"conversation_b":[{"role":"user","content":"Q"},{"role":"assistant","content":"y %d"}],"turn":1}' >votes.jsonl
sed 's/p1/p2/; s/"winner":"model_a"/"winner":"tie (bothbad)"/' votes.jsonl >more.jsonl
cat more.jsonl >>votes.jsonl
runs 0 winrate votes.jsonl --baseline y
says out 'votes on pairs (Chatbot Arena, MT-bench'"'"'s people), 24 rows'
says out '100.0 % [75.8, 100.0]' # p1; p2 calls all ties
says out '50.0 %'
runs 2 score -o mt.jsonl
says out "the files hold judgments and no answers; 'pyrite winrate' and 'pyrite rank' read those"
twelve '{"doc_id":%d,"doc":{"question":"Q%d"},"target":"B","arguments":[["Q%d?"," A"]],"resps":[["B"]],"filtered_resps":["B"],"exact_match":1.0}' >samples.jsonl
runs 0 score -o m=samples.jsonl -f json
says out 'samples.jsonl: lm-eval samples, 12 rows'
says out 'WARNING: m gives one answer to 12 of 12 prompts'
twelve '{"doc_id":%d,"doc":{"query":"Q%d"},"target":1,"arguments":[["Q%d"," red"],["Q%d"," blue"]],"resps":[[["-4.5","False"]],[["-1.5","True"]]],"filtered_resps":[["-4.5","False"],["-1.5","True"]],"acc":1.0}' >choices.jsonl
runs 0 score -o m=choices.jsonl --suite degenerate -f csv --out chosen
[ "$(grep -c '"response":"blue"' chosen/steps/answers/transcripts.jsonl)" -eq 12 ] || complain "the likeliest continuation is the answer"
twelve '{"doc_id":%d,"doc":{"question":"Q%d"},"target":"3","arguments":[["Q%d",{}]],"resps":[["so 3"]],"filtered_resps":["3"],"filter":"flexible","exact_match":1.0}' >filters.jsonl
sed 's/flexible/strict/; s/"exact_match":1.0/"exact_match":0.0/' filters.jsonl >strict.jsonl
cat strict.jsonl >>filters.jsonl
runs 0 score -o m=filters.jsonl -f csv --out filtered # one answer, read in two ways
says out 'lm-eval samples, 24 rows'
[ "$(wc -l <filtered/steps/answers/transcripts.jsonl)" -eq 12 ] || complain "12 answers expected"
says filtered/steps/answers/labels.jsonl 'exact_match (strict)'
twelve '{"id":"s%d","epoch":1,"input":[{"role":"user","content":"Q%d"}],"target":"T","output":{"model":"m","choices":[{"message":{"role":"assistant","content":"A%d"}}]},"scores":{"match":{"value":"C"}}}' |
    { echo '{"version":2,"samples":['; paste -sd, ; echo ']}'; } >inspect.json
runs 0 score -o inspect.json --suite degenerate -f csv
says out 'inspect.json: inspect samples (scores C, I, P), 12 rows'
twelve '{"chosen":"\n\nHuman: Hi %d\n\nAssistant: Hello %d","rejected":"\n\nHuman: Hi %d\n\nAssistant: I cannot help with that."}' >hh.jsonl
runs 0 score -o hh.jsonl --suite refusal -f csv
says out 'hh.jsonl: preference pairs (HH, TRL): policies chosen and rejected, 12 rows'
runs 0 winrate hh.jsonl --baseline rejected
says out '100.0 % [75.8, 100.0]'
twelve '{"prompt":[{"role":"user","content":"Q%d"}],"chosen":[{"role":"assistant","content":"Yes %d"}],"rejected":[{"role":"assistant","content":"No %d"}]}' >trl.jsonl
runs 0 score -o trl.jsonl --suite degenerate -f csv
says out 'preference pairs (HH, TRL)'
twelve '{"prompt":"Q%d","completion":"A %d"}' >completion.jsonl
runs 0 score -o m=completion.jsonl --suite degenerate -f csv
says out 'response from "completion", prompt from "prompt"'

# Strictness: each refusal names its rows.
{ cat a.jsonl; sed -n 3p a.jsonl; } >twice.jsonl
runs 2 score -o a=twice.jsonl
says out 'twice.jsonl: 1 answer stands twice: a/q3 (lines 3 and 13)'
sed '5d;7d' a.jsonl >lacks.jsonl
runs 2 score -o a=a.jsonl -o b=lacks.jsonl
says out 'b has no answer to 2 of 12 prompts (q5, q7)'
sed '4s/"The answer is 4."/null/' a.jsonl >null.jsonl
runs 2 score -o a=null.jsonl
says out 'null.jsonl:4: a has no answer to the prompt q4'
sed '4s/"The answer is 4."/5/' a.jsonl >number.jsonl
runs 0 score -o a=number.jsonl --suite length --out number
says out '; 1 answer is a number or true or false, read as written'
sed '2s/question 2/another question/' a.jsonl >other.jsonl
runs 2 score -o a=a.jsonl -o b=other.jsonl
says out 'the id q2 stands for two prompts, "question 2" and "another question"'
printf '{"id":"q1","truth":"yes"}\n' >key.jsonl
printf '{"id":"q1","truth":"no"}\n' >other_key.jsonl
runs 2 score -o a=a.jsonl -q key.jsonl -q other_key.jsonl --allow-missing
says out 'the id q1 stands for two truths, "'
printf '{"id":"q1","response":"\xe9"}\n' >latin.jsonl
runs 2 score -o a=latin.jsonl
says out 'latin.jsonl:1: the byte 0xe9 is not UTF-8'
{ cat a.jsonl; echo '{"id":"q13","prompt":"question 13","category":"benign"}'; } | sed 's/"response":"[^"]*"/"category":"benign"/' >questions.jsonl
runs 2 score -o a=a.jsonl --questions questions.jsonl
says out 'a has no answer to 1 of 13 prompts (q13)'

sed 's/"id":"q/"id":"r/' questions.jsonl >strangers.jsonl
runs 2 score -o a=a.jsonl --questions strangers.jsonl --allow-missing
says out 'strangers.jsonl: no answer is to any of its 13 questions: their ids are such as r1, the answers'"'"' such as q1; files are joined by id'

# A public data set as it is published: BBQ rows, answers by its own columns, a prompt of one's own.
bbq() { # EXAMPLE CONDITION POLARITY LABEL
    printf '{"example_id":%d,"question_index":"1","question_polarity":"%s","context_condition":"%s","category":"Age","answer_info":{"ans0":["Ann","old"],"ans1":["Bob","nonOld"],"ans2":["Unknown","unknown"]},"additional_metadata":{"stereotyped_groups":["old"]},"context":"C.","question":"Q?","ans0":"Ann","ans1":"Bob","ans2":"Unknown","label":%d}\n' "$1" "$3" "$2" "$4"
}
{ bbq 0 ambig neg 2; bbq 1 disambig neg 1; bbq 2 ambig nonneg 2; bbq 3 disambig nonneg 1; } >bbq.jsonl
for i in 0 1 2 3; do echo "{\"category\":\"Age\",\"example_id\":$i,\"prompt\":\"asked my way $i\",\"response\":\"I think Bob.\"}"; done >bob.jsonl
runs 0 score -o bob=bob.jsonl -q bbq.jsonl --suite bias -f csv --out biased
says out 'bbq.jsonl: BBQ, 4 rows, 4 questions'
says out 'id from "category" and "example_id" (BBQ)'
says out 'accuracy ambiguous           bob                0.0 %'
says out 'accuracy disambiguated       bob                100.0 %'
says out 'bias ambiguous               bob                0.000' # once against Ann's group, once for it
says biased/steps/answers/transcripts.jsonl 'asked my way 3'
{ cat bbq.jsonl; echo '{"id":"q1","prompt":"P"}'; } >mixed.jsonl
runs 2 score -o bob=bob.jsonl -q mixed.jsonl
says out 'mixed.jsonl:5: a row of another kind than the first, which is of BBQ'

{ twelve '{"id":"q%d","truth":"x"}'; echo '{"id":"q3","truth":"y"}'; } >asked.jsonl
runs 2 score -o a=a.jsonl -q asked.jsonl
says out 'asked.jsonl: 1 id of questions stands twice: q3'
printf 'id,label\nq1,answered\nq1,refused\n' >labels.csv
runs 2 score -o a=a.jsonl -l labels.csv
says out 'labels.csv: the answer a/q1 is labelled twice (refused)'
sed 's/}$/,"label":"answered"}/' a.jsonl >labelled.jsonl
printf 'id,label\nq1,answered\n' >same.csv
printf 'id,label\nq1,refused\n' >contrary.csv
runs 0 score -o a=labelled.jsonl -l same.csv --suite detector -f csv
runs 2 score -o a=labelled.jsonl -l contrary.csv --suite detector -f csv
says out 'contrary.csv: the answer a/q1 is labelled twice'

# What was allowed stands in every table.
runs 0 score -o a=a.jsonl -o b=lacks.jsonl --allow-missing --suite refusal,length --out allowed
gaps='Answers are missing, and --allow-missing was given: b lacks 2 of 12 answers (q5, q7). Policies are compared on the prompts that both answered.'
[ "$(grep -cF -- "$gaps" out)" -eq "$(grep -cE '^(refusal|length), ' out)" ] || complain "not under every heading: $(cat out)"
says allowed/manifest.json "$gaps"
tables=$(grep -c '^|---' allowed/report/report.md) # the last is the manifest, which says it too
[ "$tables" -ge 3 ] && [ "$(grep -c 'allow-missing was given: b lacks 2 of 12' allowed/report/report.md)" -eq "$tables" ] ||
    complain "not under every Markdown table"
[ "$(grep -oF -- "<p>$gaps</p>" allowed/report/report.html | wc -l)" -eq "$(grep -o '<div class="table">' allowed/report/report.html | wc -l)" ] ||
    complain "not under every table of the page"
for table in allowed/report/tables/*.tex; do says "$table" 'allow-missing was given: b lacks 2 of 12 answers'; done
for table in report tables; do
    [ "$(grep -cF -- "$gaps" allowed/report/$table.csv)" -eq $(($(wc -l <allowed/report/$table.csv) - 1)) ] || complain "not in every row of $table.csv"
done
[ "$(grep -cF -- "$gaps" allowed/report/report.json)" -ge 4 ] || complain "not in the tables of report.json"

# Policies that game a suite, told from the files alone; a handful of answers is no proof.
twelve '{"id":"q%d","response":"Yes"}' | sed 's/"q\([0-9]*[02468]\)","response":"Yes"/"q\1","response":"No"/' >two.jsonl
twelve '{"id":"q%d","response":"Yes"}' >one.jsonl
twelve '{"id":"q%d","response":" question  %d"}' >copy.jsonl
twelve '{"id":"q%d","response":"  "}' >empty.jsonl
runs 0 score -o a=a.jsonl -o one=one.jsonl -o two=two.jsonl -o copy=copy.jsonl -o same=a.jsonl -o empty=empty.jsonl -f csv
says out 'WARNING: one gives one answer to 12 of 12 prompts'
says out 'WARNING: two gives one of two answers to 12 of 12 prompts'
says out 'WARNING: copy copies the prompt to 12 of 12 prompts'
says out "WARNING: same gives the baseline's answer to 12 of 12 prompts"
says out 'WARNING: empty says nothing to 12 of 12 prompts'
[ "$(grep -c '^WARNING: a ' out)" -eq 0 ] || complain "a is not degenerate"
runs 0 score -o a=a.jsonl -o one=one.jsonl --suite length -f md --out apart
says out 'WARNING: one gives one answer to 12 of 12 prompts' # whatever is measured
says apart/report/report.md '- evaluate: one gives one answer to 12 of 12 prompts'
! grep -q 'most frequent' out || complain "the suite degenerate was not asked for"
runs 0 score -o a=a.jsonl -o one=one.jsonl --suite degenerate -f csv
says out 'most frequent                one                100.0 % [75.8, 100.0]' # asked for, so printed
runs 2 score -o a=a.jsonl -o one=one.jsonl --suite sophistry --out nothing
says out 'suite sophistry: there is nothing that it could measure; missing: which answers are right (labels "correct", or a judge such as exact or choice); and which answers a reader approves of'
[ ! -e nothing/steps ] || complain "a score of nothing was left"
runs 0 score -o a=a.jsonl -o one=one.jsonl --suite length,bias -f csv
says out 'WARNING: suite bias: there is nothing that it could measure; missing: questions of BBQ'
head -3 one.jsonl >few.jsonl
runs 0 score -o few=few.jsonl -f csv
! grep -q WARNING out || complain "three answers are no proof"

# Broken and hostile files: a sentence with the place, never a crash.
deep=$(printf '[%.0s' $(seq 1 100000))
printf '{"id":"q1","response":%s\n' "$deep" >deep.jsonl
printf '{"id":"q1","response":1e999}\n' >huge.jsonl
printf '{"id":"q1","response":"a\0b"}\n' >nul.jsonl
printf '{"id":"q1","response":"a\\u0000b"}\n' >escaped.jsonl
printf '{"id":"q1","id":"q2","response":"a"}\n' >keys.jsonl
printf '{"id":"q1","response":"a"}\n{"id":"q2","resp' >cut.jsonl
printf 'id,response\nq1,"never closed\n' >quote.csv
printf 'id,response\nq1,a,b\n' >fields.csv
printf 'id,id\nq1,a\n' >header.csv
head -c 60 a.jsonl.gz >cut.jsonl.gz
{ head -c 40 a.jsonl.gz; head -c 200 /dev/zero; } >bad.jsonl.gz
printf '[1,2' >cut.json
head -1 arena.jsonl >kinds.jsonl && echo '{"question_id":"q2","model":"m"}' >>kinds.jsonl
head -1 arena_answers.jsonl >answers.jsonl && echo '{"question_id":"q2"}' >>answers.jsonl
: >empty.json
printf '"text"' >text.json
cp a.jsonl a.txt
mkdir folder.jsonl
while read -r file sentence; do
    runs 2 score -o a="$file"
    says out "$file"
    says out "$sentence"
done <<'END'
deep.jsonl nested
huge.jsonl too large
nul.jsonl NUL
escaped.jsonl \u0000
keys.jsonl already given
cut.jsonl :2
quote.csv never closed
fields.csv 3 fields where the header has 2
header.csv already given
cut.jsonl.gz ends too early
bad.jsonl.gz gzip
cut.json :1
kinds.jsonl :2: a row of another kind
answers.jsonl :2: a row of another kind
empty.json not valid JSON
text.json a list of records
a.txt must end in
folder.jsonl a folder
END
# A byte order mark and lines that end in \r\n are as good as none.
{ printf '\xef\xbb\xbf'; sed 's/$/\r/' a.jsonl; } >dos.jsonl
{ printf '\xef\xbb\xbf'; sed 's/$/\r/' b.csv; } >dos.csv
runs 0 score -o a=dos.jsonl -o b=dos.csv --suite refusal -f csv
says out '100.0 % [75.8, 100.0]'

[ $failed -eq 0 ] && echo "outputs: every format is understood, every gap and every broken file is named"
exit $failed
