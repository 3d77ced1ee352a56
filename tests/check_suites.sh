#!/usr/bin/env bash
# docs/suites.md defines every metric as the program does; --write brings its tables up to date.
source=$(realpath "${srcdir:-.}")
. "${srcdir:-.}/tests/program.sh"
page=$source/docs/suites.md

for suite in $("$pyrite" list suites | awk 'NR > 1 { print $1 }'); do
    "$pyrite" list suite "$suite" | awk -v suite="$suite" '
        NR == 1 { sub(/^suite [^:]*: /, ""); printf "### %s\n\n%s%s.\n\n| metric | what |\n| --- | --- |\n", suite, toupper(substr($0, 1, 1)), substr($0, 2) }
        NR > 2 { name = $1; sub(/^ *[^ ]+ +/, ""); printf "| `%s` | %s |\n", name, $0 }
        END { print "" }'
done >tables
[ "$(grep -c '^### ' tables)" -ge 10 ] || complain "few suites: $(cat tables)"
awk '/^<!-- suites -->$/ { print; print ""; while ((getline line < "tables") > 0) print line; inside = 1 }
    /^<!-- end of suites -->$/ { inside = 0 }
    !inside' "$page" >expected
if [ "${1:-}" = --write ]; then
    cp expected "$page"
else
    diff "$page" expected >difference || complain "docs/suites.md is not what the program says; tests/check_suites.sh --write"$'\n'"$(cat difference)"
fi
exit $failed
