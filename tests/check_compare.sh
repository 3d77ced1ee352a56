#!/usr/bin/env bash
# pyrite winrate, rank, agree and compare: figures that one can work by hand, and what they refuse.
. "${srcdir:-.}/tests/program.sh"

# Ten prompts: the model wins 6 consistently, ties 1, loses 2, and 1 goes to whoever is first.
verdict() { echo "{\"transcript\":\"$1/$3\",\"other\":\"$2/$3\",\"judge\":\"j\",\"what\":\"preference\",\"outcome\":\"$4\",\"score\":$5,\"order\":$6}"; }
for i in 1 2 3 4 5 6; do verdict model base q$i verdict 1 1; verdict base model q$i verdict 0 1; done >v.jsonl
{
    verdict model base q7 tie 0.5 1; verdict model base q7 tie 0.5 2
    for i in 8 9; do verdict model base q$i verdict 0 1; verdict model base q$i verdict 0 2; done
    verdict model base q10 verdict 1 1; verdict model base q10 verdict 0 2
    verdict model base q11 unparsed null 1
} >>v.jsonl
runs 0 winrate v.jsonl --baseline base --format csv
says out 'table,judge,policy,against,win_rate,win_rate_low,win_rate_high,p,p_holm,judged,prompts,ties,unparsed,errors,bounds_low,'
says out 'Win rates,j,model,base,0.7,0.3983' # mean of 6 x 1, 2 x 1/2, 2 x 0; se 0.4216/sqrt(10), t of 9 degrees 2.262, cut to 1
says out ',10,11,2,1,0,0.6363636363636364,0.7272727272727273,0.9,0.5958'
says out ',0.5555555555555556,0.337'
runs 0 winrate v.jsonl --baseline base
says out '70.0 % [39.8, 100.0]  0.17  0.17      10/11   2     1         0       63.6 to 72.7 %  90.0 % [59.6, 98.2]  55.6 % [33.7, 75.4]'
runs 0 winrate v.jsonl --baseline model --format csv
says out 'j,base,model,0.3,0,0.6016'
runs 0 winrate v.jsonl --baseline base --rule judgebench --format csv
says out 'j,model,base,0.7,'
runs 0 winrate v.jsonl --baseline base --rule auto-j --format csv
says out 'j,model,base,0.6,0.3126'
runs 0 winrate v.jsonl --baseline base --rule arena-hard --format csv # 14 of 20 games; the missing prompt is two more
says out 'j,model,base,0.7,'
says out ',0.6363636363636364,0.7272727272727273,'
sed '1s/"order"/"reason":"strong","order"/' v.jsonl >strong.jsonl # one won game counts three times: 16 of 22
runs 0 winrate strong.jsonl --baseline base --rule arena-hard --format csv
says out 'j,model,base,0.7272727272727273,'
for i in 1 2 3; do verdict model base q$i tie 0.5 1; done >ties.jsonl
runs 0 winrate ties.jsonl --baseline base
says out 'model against base, j: no interval: no variance: all observations are equal.'
runs 2 winrate v.jsonl --baseline nobody
says out "no verdict is about the baseline 'nobody'"
runs 2 winrate v.jsonl --rule odd
says out 'there are average, mt-bench, judgebench, auto-j and arena-hard'
{ cat v.jsonl; verdict third base q1 verdict 1 1; } >two.jsonl
runs 2 winrate two.jsonl --baseline base
says out 'were judged on different prompts (11 and 1 of them)'
runs 0 winrate two.jsonl --baseline base --allow-missing
says out 'Policies were judged on different prompts, and --allow-missing was given'

# Models of two makers that are called alike: judgments of other tools say whose they are, ids alone do not.
for i in 1 2 3; do
    echo "{\"question_id\":$i,\"model_1\":\"x/m\",\"model_2\":\"y/m\",\"judge\":\"j\",\"g1_winner\":\"model_1\",\"g2_winner\":\"model_1\"}"
    verdict x/m y/m $i verdict $((i < 3)) 1 >&3
done >makers.jsonl 3>ids.jsonl
runs 0 winrate makers.jsonl --baseline y/m --format csv
says out 'j,x/m,y/m,1,'
says out ',3,3,'
runs 2 winrate ids.jsonl
says out 'the ids x/m/1 and y/m/1 do not tell where the policies'"'"' names end; give their verdict "policy" and "other_policy"'
runs 2 rank ids.jsonl
says out 'the ids x/m/1 and y/m/1'
for policy in x y; do for i in 1 2 3; do echo "{\"id\":$i,\"response\":\"$policy\"}"; done >$policy.jsonl; done
runs 0 winrate ids.jsonl --outputs x/m=x.jsonl --outputs y/m=y.jsonl --baseline y/m --format csv # the answers do
says out 'j,x/m,y/m,0.66'
runs 0 rank ids.jsonl --outputs x/m=x.jsonl --outputs y/m=y.jsonl --sandwich --format csv
says out 'x/m,'

# What is no judgment is an error with its line: a model against itself, a winner or preference that there is not.
verdict a a q1 verdict 1 1 >itself.jsonl
runs 2 winrate itself.jsonl
says out 'itself.jsonl:1: a comparison of a/q1 with itself'
printf '%s\n' '{"question_id":1,"model_a":"x","model_b":"y","winner":"tie"}' '{"question_id":2,"model_a":"x","model_b":"x","winner":"model_a"}' >vote.jsonl
runs 2 winrate vote.jsonl
says out 'vote.jsonl:2: a comparison of x with itself; a pair needs answers of two models'
sed -i 's/"model_b":"x","winner":"model_a"/"model_b":"y","winner":"modelA"/' vote.jsonl
runs 2 winrate vote.jsonl
says out 'vote.jsonl:2: "winner" must be model_a, model_b, tie or both_bad, not "modelA"'
echo '{"question_id":1,"model_1":"x","model_2":"y","judge":"j","g1_winner":"x","g2_winner":"error"}' >named.jsonl
runs 2 winrate named.jsonl
says out 'named.jsonl:1: "g1_winner" must be model_1, model_2, tie or error, not "x"'
sed -i 's/"g1_winner":"x"/"g1_winner":"model_1"/' named.jsonl
runs 0 winrate named.jsonl -f csv # the second game has no verdict
says out ',1,1,0,1,0,'
for preference in 7 0.5 '"two"' '"1.5"'; do
    echo "{\"instruction\":\"i\",\"output_1\":\"a\",\"output_2\":\"b\",\"preference\":$preference}"
done | while IFS= read -r row; do
    echo "$row" >prefers.jsonl
    "$pyrite" winrate prefers.jsonl
    echo "exit code $?"
done >out 2>&1
says out 'prefers.jsonl:1: "preference" must be from 1 to 2 (2: output_2 wins), or 0 for a draw, not 7'
says out 'or 0 for a draw, not 0.5'
says out '"preference" must be a number'
[ "$(grep -c 'exit code 0' out)" -eq 1 ] || complain "a text that is a number is one: $(cat out)"
echo '{"input":"i","output_1":"a","output_2":"b","label":3}' >label.jsonl
runs 2 winrate label.jsonl
says out 'label.jsonl:1: "label" must be 1 or 2, the better output, not 3'
echo '{"instruction":"i","response1":"a","response2":"b","annotator1":1,"annotator2":4}' >panda.jsonl
runs 2 winrate panda.jsonl
says out 'panda.jsonl:1: "annotator2" must be 1 or 2, the better response, or 0 for a tie, not 4'
sed 's/"b"/5/; s/4/2/' panda.jsonl >number.jsonl
runs 0 winrate number.jsonl
says out 'number.jsonl: PandaLM pairs (annotators: 1, 2, 0 for a tie), 1 row; 1 answer is a number or true or false, read as written'
printf 'a,b\ny,n\nn,y\n' >words.csv
runs 2 agree words.csv --columns a,b --numeric
says out "--numeric needs numbers, and 'y' is none"

# Probabilities, and few enough pairs that every order is counted.
printf 'p,gold\n.1,0\n.2,0\n.35,0\n.4,1\n.55,0\n.6,1\n.75,1\n.8,1\n.9,1\n.95,1\n' >p.csv
sed 's/,/,x,/;s/,x,gold/,q,gold/' p.csv | awk -F, -v OFS=, 'NR > 1 { $2 = NR * NR } 1' >pq.csv
runs 0 agree pq.csv --columns p,q --gold gold --numeric --format csv
says out "rho,\"p, q\",1,1,1,10,5.511463844797178e-07,4.96031746031746e-06,exact p" # 2 of 10!; nine tests stand in the table: Holm takes it nine times
says out 'Brier score,p,0.11100000000000002,,,10,'
says out 'log-loss,p,0.36523904687337755,,,10,,,nats'
says out 'AUC,p,0.9583333333333334,,,10,'
says out 'calibration error,p,0.28,,,10,,,10 equal bins'
grep -q 'Brier score,q' out && complain "q holds no probabilities"

# What a study needs: Miller 2024; exact McNemar; 805 prompts against 1/2; R power.prop.test.
runs 0 power means --between 0.5 --effect 0.05 --format csv
says out '785,0.05,0.8'
runs 0 power shares --discordant 0.3 --n 100 --effect 0.12 --format csv
says out '100,0.12,0.5246975801623249'
runs 0 power rate --n 100,805 --effect 0.1,0.05 --format csv
says out '100,0.1,0.462'
says out '805,0.05,0.807'
runs 0 power rates --rate 0.05 --effect 0.1 --power 0.9 --format csv
says out '188,0.1,0.9'
runs 0 power rates --rate 0.1 --effect 0.1 --n 200 --format csv
says out '200,0.1,0.802'
runs 0 power interval --n 805 --format csv
says out '805,0.034457'
runs 2 power
runs 2 power guess --n 3
says out "'guess' is no design"
runs 2 power rate
says out '--n, --effect or both?'
runs 2 power rate --n 10.5
says out 'whole numbers from 1'
runs 2 power shares --effect 0.3
says out 'needs more than the 0.2 of the pairs that differ'
runs 2 power interval --n 3 --effect 1
says out 'an interval has no power'
runs 2 power means --between much --n 3
says out "--between must be a number from 0 to 1e+09, not 'much'"

# Two models that tie on balance: abilities 0; and one that never lost.
for i in 1 2 3 4; do verdict a b p$i verdict $((i % 2)) $((i / 3 + 1)); done >even.jsonl
runs 0 rank even.jsonl --sandwich
says out 'even.jsonl: verdicts, 4 rows'
runs 0 rank even.jsonl --sandwich --format json
says out '"rank": 1,'
says out '"ability": 0,'
says out '"elo": 1000,'
runs 0 rank even.jsonl --sandwich --order-effect --format csv
says out 'table,rank,rank_low,rank_high,model,ability,ability_low,ability_high,se,robust,elo,contests,effect'
grep -q '^Effects,,,,,.*,shown first$' out || complain "the effect of order is no row: $(cat out)"
runs 2 rank two.jsonl
says out 'third never lost to the other models'
{ verdict a b p1 verdict 1 1; verdict c d p1 verdict 1 1; } >apart.jsonl
runs 2 rank apart.jsonl
says out 'no contest connects these groups of models: a, b; c, d'
runs 2 rank even.jsonl --style length
says out 'so their style is not known'
runs 2 rank even.jsonl --style colour
says out 'there are length, headers, lists and bold'

# The two judges of the calibration page: kappa 0.697.
printf 'id,a,b,gold\n1,1,1,1\n2,1,0,1\n3,0,0,0\n4,2,2,2\n5,1,1,1\n6,0,0,0\n7,2,2,1\n8,2,1,2\n9,1,1,1\n10,0,0,0\n11,,1,1\n' >l.csv
runs 0 agree l.csv --columns a,b --gold gold --ordinal --numeric
says out "Cohen's kappa"
says out '0.697'
says out '0.762'
says out '0.833'
says out '0.800 [0.490, 0.943]'
runs 0 agree l.csv --columns a,b,gold --format json
says out "Krippendorff's alpha"
runs 2 agree l.csv --columns a,c
says out 'there is no column "c"'
runs 2 agree l.csv --columns a
says out 'agreement needs two columns'

# A row a label: two raters of three things, one of them twice; and a rater who says nothing of one.
printf 'thing,who,score\nx,a,1\nx,b,2\ny,a,3\ny,b,5\ny,b,7\nz,a,4\nz,b,NULL\n' >long.csv
runs 0 agree long.csv --rows thing --rater who --value score --numeric --missing NULL --format csv
says out 'mean,b,4,-21.41' # (2 + 6)/2; t of 1 degree 12.706, sd 2.828/sqrt(2)
says out 'mean difference,"a, b",-2,-14.70' # (-1 - 3)/2; sd 1.414/sqrt(2)
runs 0 agree long.csv --rows thing --rater who --value score --missing NULL
says out 'a, b     0.000 [0.000, 0.658]' # of x and y none is the same: Wilson of 0 of 2
printf 'thing,who,word\nx,a,yes\nx,a,no\n' >twice.csv
runs 2 agree twice.csv --rows thing --rater who --value word
says out 'twice.csv: line 3: a gives two labels to one thing, "yes" and "no"'
runs 2 agree long.csv --rows thing --rater who
says out 'needs --rows, --rater and --value'
runs 2 agree long.csv --rows nothing --rater who --value score
says out 'there is nothing in the column "nothing"'
printf '%s\n' '{"passage-id":"p","questions":{"0":{"bart":{"response":"r","reviews":[{"worker_id":"1","correctness-rating":10,"selection-rating":20,"overall-rating":30},{"worker_id":"2","correctness-rating":30,"selection-rating":20,"overall-rating":50}]},"human":{"response":"r","reviews":[{"worker_id":"1","correctness-rating":90,"selection-rating":80,"overall-rating":100}]}}}}' >squality.jsonl
runs 0 agree squality.jsonl --rows passage,question --rater system --value overall --numeric --format csv
says out 'mean,bart,,,,1,'
runs 0 agree squality.jsonl --columns correctness,overall --numeric --by system --format csv
says out 'bart,mean,overall,40,-87.06' # 30 and 50

# Where the shorter and the longer answer win alike, the penalty leaves no coefficient, and the rate says nothing.
for i in $(seq 1 60); do
    printf '{"instruction":"q%d","output_1":"a%*s","output_2":"b%*s","generator_1":"x","generator_2":"y","preference":%d}\n' \
        "$i" $((i % 7 + 1)) c $((i % 5 + 1)) d $((i * 7 / 3 % 2 + 1))
done >alike.jsonl
runs 0 winrate alike.jsonl
says out '1/2 by construction: the penalty shrank every coefficient to 0'

# Judges that read nothing but lengths and order, by subset: in s the better one is the longer one, in t the first.
printf 'one,two,better,set\nlonger,short,1,s\nx,yy,2,s\na,bb,1,t\nsame,size,1,t\n' >texts.csv
runs 0 agree texts.csv --texts one,two --gold better --by set --format csv
says out 's,agreement,"null-longer, better",1,0.342'
says out 't,agreement,"null-longer, better",0,0,0.657'
says out 't,agreement,"null-shorter, better",0.5,0.0945'
says out 'all,agreement,"null-first, better",0.75,0.300'
runs 2 agree texts.csv --texts one --gold better
says out '--texts names two columns of texts'

# Before and after: 20 prompts, 5 that only one and 15 that only the other refused: McNemar's 0.041.
for i in $(seq 1 20); do
    yes='I cannot help with that.' no='The answer is here.'
    [ $i -le 5 ] && b=$yes a=$no || b=$no a=$yes
    echo "{\"id\":$i,\"prompt\":\"q$i\",\"response\":\"$b\"}" >>b.jsonl
    echo "{\"id\":$i,\"prompt\":\"q$i\",\"response\":\"$a\"}" >>a.jsonl
done
runs 0 score -o policy=b.jsonl --out before
runs 0 score -o policy=a.jsonl --out after
runs 0 compare before after --confirmatory refused --format csv
says out 'task,split,policy,what,before,after,difference,difference_low,difference_high,p,adjusted,adjusted_by,mde,n,missing,note'
says out ',heldout,policy,refused (detector),0.25,0.75,0.5,0.0625'
says out ',0.0413894653320312,0.0413894653320312,Holm,'
runs 0 compare before after --confirmatory refused
says out '1 of 1 confirmatory differences are below 0.05'
runs 2 compare before after --confirmatory refused,corect
says out "--confirmatory: nothing called 'corect' was compared; there are refused (detector), words"
runs 0 compare before after --effect 0.1
says out 'rows are not powered to see the effect of 0.1'
head -19 a.jsonl >short.jsonl
runs 0 score -o policy=short.jsonl --out fewer
runs 2 compare before fewer
says out 'the runs asked different prompts (20 and 19, 19 in both)'
runs 0 compare before fewer --allow-missing --format csv
says out ',19,1,'
runs 0 compare before fewer --allow-missing
says out 'Up to 1 prompts a row are left out: only one of the runs asked them (--allow-missing)'
says out 'a row is not powered to see less'
runs 2 compare before nowhere
says out 'nowhere holds no run'

# The same answers, compared here and measured by a suite, have the same interval and p to the bit, whatever the
# ids' order is: 25 differences are too many to enumerate.
for i in $(seq 1 25); do
    words=$(printf 'w %.0s' $(seq 1 $((3 + i * 7 % 11))))
    echo "{\"id\":\"$i\",\"prompt\":\"q$i\",\"response\":\"$words\"}" >>plain.jsonl
    echo "{\"id\":\"$i\",\"prompt\":\"q$i\",\"response\":\"$words$words\"}" >>doubled.jsonl
done
runs 0 score -o old=plain.jsonl -o new=doubled.jsonl --suite length --out same
drift=$(sed -n 's/.*"name":"drift".*"low":\([^,]*\),"high":\([^,]*\),.*"p":\([^,]*\),.*/\1,\2,\3/p' same/steps/evaluate/metrics.jsonl)
[ -n "$drift" ] || complain "no drift in same/steps/evaluate/metrics.jsonl"
runs 0 compare same same --before old --after new --format csv
says out ",$drift,"

# Sorted by size, not by p: 8 of 20 labelled by a few, all of 20 changed by a little; lengths last, whatever their size.
# People labelled other answers of the two runs: judged apart is not asked apart, and the others are counted missing.
{ echo policy,id,approval; for i in 1 2 3 4 5 6 7 8; do echo "policy,$i,no"; done; } >few-before.csv
{ echo policy,id,approval; for i in 4 5 6 7 8 9; do echo "policy,$i,yes"; done; } >few-after.csv
for i in $(seq 1 20); do echo "{\"id\":$i,\"prompt\":\"q$i\",\"response\":\"\"}"; done >silent.jsonl
runs 0 score -o policy=b.jsonl --labels few-before.csv --out before
runs 0 score -o policy=a.jsonl --labels few-after.csv --out after
runs 0 compare before after --format csv
tail -n +2 out | sed -n 's/.*,policy,\([^,]*\),.*/\1/p' >order
printf 'approval (label)\nrefused (detector)\nwords\n' | cmp -s - order || complain "not by size: $(cat out)"
says out 'approval (label),0,1,1,'
says out ',5,4,' # 4 to 8 in both; 1, 2, 3 and 9 in one
runs 0 score -o policy=silent.jsonl --out silent
runs 0 compare before silent --format csv
says out 'words,4.25,0,-4.25,-4.45' # no word is a length too
sed 's/"response"/"tokens":7,"response"/' a.jsonl >counted.jsonl
runs 0 score -o policy=counted.jsonl --out counted
runs 0 compare before counted
says out 'Lengths are not compared: the first run counts words, the second tokens.'

[ $failed -eq 0 ] && echo "compare: win rates, rankings, agreement and differences are as worked by hand"
exit $failed
