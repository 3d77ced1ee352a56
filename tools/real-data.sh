#!/usr/bin/env bash
# Every figure of docs/real-data-judging.md, measured again from the public data: real-data.sh DATA_DIR OUT_DIR
# DATA_DIR: what 'pyrite fetch bbq llmbar pandalm squality xsum-hallucination xstest hh-rlhf' makes; files may be .gz,
# and LLMBar one file llmbar.jsonl. Parts whose data is not there are left out and named; the exit code is then 77.
#   real-data.sh DATA_DIR OUT_DIR [llmbar pandalm hh squality xsum xstest bbq]...   only these parts
# PYRITE: the program (default: build/pyrite); RESAMPLES: of BBQ's bootstrap (default: 10000)
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,6s/^# *//p' "$0" >&2; exit 2; }
data=$1 out=$2 here=$(cd "$(dirname "$0")/.." && pwd)
pyrite=${PYRITE:-$here/build/pyrite}
shift 2
parts=${*:-llmbar pandalm hh squality xsum xstest bbq}
mkdir -p "$out"
missing=''

# file NAME: its path, packed or not.
file() {
    local name
    for name in "$data/$1" "$data/$1.gz"; do
        [ ! -e "$name" ] || { echo "$name"; return; }
    done
    return 1
}
# say PART ARGUMENT…: the command and what it prints, in OUT_DIR/PART.txt.
say() {
    local part=$1
    shift
    { printf '$ pyrite'; printf ' %s' "${@//$data/DATA}"; printf '\n'; } >>"$out/$part.txt"
    if ! "$pyrite" "$@" >>"$out/$part.txt"; then
        echo "real-data.sh: pyrite $1 failed in the part $part" >&2
        exit 1
    fi
    echo >>"$out/$part.txt"
}
unpack() { case $1 in *.gz) gzip -dc "$1" ;; *) cat "$1" ;; esac; }

# Which output is better, by a person; and by judges that see only lengths and order.
llmbar() {
    local name all
    if all=$(file llmbar/llmbar.jsonl); then
        say llmbar agree "$all" --texts output_1,output_2 --gold label --by subset
        return
    fi
    for name in Natural Neighbor GPTInst GPTOut Manual FairEval LLMEval2 MT-Bench; do
        all=$(file "llmbar/$name.json") || return
        say llmbar agree "$all" --texts output_1,output_2 --gold label
    done
}

# Three people on each pair of responses; null judges; the ranking that the three give.
pandalm() {
    local all
    all=$(file pandalm/testset-v1.json) || return
    say pandalm agree "$all" --columns annotator1,annotator2,annotator3 --texts response1,response2
    say pandalm rank "$all"
}

# How often people chose the longer answer.
hh() {
    local all
    all=$(file hh-rlhf/harmless-base.test.jsonl) || return
    say hh winrate "$all" --baseline rejected --length minimal
}

# Ratings from 0 to 100 of three systems' summaries, errors clustered by story; how far the raters agree.
squality() {
    local all what
    all=$(file squality/human-eval.jsonl) || return
    for what in correctness coverage overall; do
        say squality agree "$all" --rows passage,question --rater system --value "$what" --numeric --cluster passage
    done
    say squality agree "$all" --rows passage,question,system --rater worker --value overall --numeric \
        --cluster passage --by system
    # the same without clusters, for what it would have said
    say squality agree "$all" --rows passage,question,system --rater worker --value overall --numeric
}

# Three people on whether a summary is factual.
xsum() {
    local all
    all=$(file xsum-hallucination/factuality_annotations_xsum_summaries.csv) || return
    say xsum agree "$all" --rows bbcid,system --rater worker_id --value is_factual --missing NULL --by system
}

# The refusal detector on answers that a person labelled.
xstest() {
    local all
    all=$(file xstest/xstest_prompts.csv) || return
    say xstest score -o "smollm2=$here/tests/fixtures/refusal/xstest_smollm2.jsonl" -q "$all" \
        --suite refusal,detector --out "$out/xstest" --format csv
}

# answers POLICY: BBQ's questions, one a line, answered so: A, B, C: always that choice; right: the label; unknown:
# never names anyone; prejudiced: whom the stereotype is against where the question is negative, else the other.
answers() {
    awk -v policy="$1" '
    function text(pattern) { return match($0, pattern) ? substr($0, RSTART, RLENGTH) : "" }
    function last_of(list, parts) { return parts[split(list, parts, "\"")- 1] }
    {
        n = text("\"example_id\": [0-9]+"); sub(/.*: /, "", n)
        category = last_of(text("\"category\": \"[^\"]*\""), parts)
        label = text("\"label\": [0-9]"); sub(/.*: /, "", label)
        groups = text("\"stereotyped_groups\": [^]]*")
        negative = /"question_polarity": "neg"/
        target = unknown = -1
        for (i = 0; i < 3; i++) {
            count = split(text("\"ans" i "\": \\[\"[^\"]*\", \"[^\"]*\""), parts, "\"")
            if (parts[6] == "unknown") unknown = i
            else if (index(groups, "\"" parts[4] "\"") || index(groups, "\"" parts[6] "\"")) target = i
        }
        choice = policy
        if (policy == "right") choice = substr("ABC", label + 1, 1)
        if (policy == "unknown") choice = substr("ABC", unknown + 1, 1)
        if (policy == "prejudiced") choice = substr("ABC", (negative ? target : 3 - target - unknown) + 1, 1)
        printf "{\"category\":\"%s\",\"example_id\":%s,\"response\":\"%s\"}\n", category, n, choice
    }'
}

# Policies that read nothing, and three that bound them, on BBQ's questions.
bbq() {
    local category all questions=() policy given=()
    rm -f "$out"/bbq-*.jsonl
    for category in Age Disability_status Nationality Physical_appearance Religion Sexual_orientation; do
        all=$(file "bbq/$category.jsonl") || return
        questions+=(-q "$all")
        for policy in A B C unknown right prejudiced; do
            unpack "$all" | answers $policy >>"$out/bbq-$policy.jsonl"
        done
    done
    for policy in A B C unknown right prejudiced; do given+=(-o "$policy=$out/bbq-$policy.jsonl"); done
    say bbq score "${given[@]}" "${questions[@]}" --suite bias --out "$out/bbq" --format csv \
        --resamples "${RESAMPLES:-10000}"
}

for part in $parts; do
    case $part in
    llmbar | pandalm | hh | squality | xsum | xstest | bbq) ;;
    *)
        echo "real-data.sh: there is no part '$part'" >&2
        exit 2
        ;;
    esac
    rm -f "$out/$part.txt"
    if $part; then echo "$out/$part.txt"; else
        echo "real-data.sh: $part left out: a file of it is not in $data" >&2
        missing=1
    fi
done
[ -z "$missing" ] || exit 77
