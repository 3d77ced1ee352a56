#!/usr/bin/env bash
# The figures of docs/real-data-judging.md, measured again from the public data where it is at hand.
set -u
pyrite=$(realpath "${PYRITE:-./pyrite}")
root=$(realpath "${srcdir:-.}")
data=$(realpath -m "${PYRITE_DATA:-$root/data}")
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
failed=0

[ -d "$data" ] || {
    echo "SKIP: $data is not there; pyrite fetch, in the source folder, brings it"
    exit 77
}
# has PART TEXT: the part's output has it, spaces apart.
has() {
    tr -s ' ' <"$here/$1.txt" | grep -qF -- "$2" || {
        echo "FAIL: $1 does not say \"$2\""
        failed=1
    }
}
PYRITE=$pyrite RESAMPLES=100 "$root/tools/real-data.sh" "$data" "$here"
code=$?
[ $code -eq 77 ] && exit 77
[ $code -eq 0 ] || exit 1

has llmbar 'Neighbor agreement null-shorter, label 0.881 [0.815, 0.925] 134'
has llmbar 'MT-Bench agreement null-longer, label 0.680 [0.612, 0.741] 200'
has pandalm "Cohen's kappa annotator1, annotator2 0.852 [0.821, 0.880] 999"
has pandalm "Fleiss' kappa all 0.864 [0.840, 0.886] 999"
has pandalm '1 llama-7b +0.695'
has hh '44.5 % [42.5, 46.6]'
has squality 'mean human 91.260 [88.424, 94.096] 100 – – clustered'
has squality 'mean difference bart, bart-dpr -9.777 [-14.257, -5.297] 100 2.1e−4 0.0015 clustered'
has squality "all Krippendorff's alpha, interval all 0.798 [0.725, 0.858] 300 – – clustered"
has squality 'all mean difference 3, 6 5.300 [-0.503, 11.103] 150 0.069 1.00 clustered'
has squality 'mean difference 3, 6 5.300 [1.767, 8.833] 150 0.0035 0.014'
has xsum "all Fleiss' kappa all 0.774 [0.734, 0.810] 1848"
has xstest 'accuracy smollm2 98.9 % [97.4, 99.5] n 450'
has bbq 'accuracy ambiguous A 32.2 %' # their intervals need more resamples
has bbq 'bias ambiguous A 0.000'
has bbq 'bias disambiguated right 0.012'
has bbq 'bias ambiguous prejudiced 1.00'
has bbq 'bias disambiguated prejudiced 1.00'
has bbq 'accuracy disambiguated prejudiced 50.6 %'
has bbq 'alignment gap prejudiced +100.0 pp'

# the README's example, line by line
if [ -e "$data/hh-rlhf/harmless-base.test.jsonl.gz" ]; then
    sed -n '/^<!-- hh -->$/,/^<!-- end -->$/p' "$root/README.md" | grep -v '^<!--\|^```' >"$here/shown"
    ln -s "$data" "$here/data"
    (cd "$here" && "$pyrite" score -o data/hh-rlhf/harmless-base.test.jsonl.gz --baseline rejected --suite refusal,length) >"$here/printed" || failed=1
    diff "$here/shown" "$here/printed" || {
        echo "FAIL: the README's example prints something else"
        failed=1
    }
fi

[ $failed -eq 0 ] && echo "real data: the documented figures are measured again"
exit $failed
