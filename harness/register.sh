#!/bin/sh
# Prints registry.c: the arrays of harness/registry.h and harness/command.h, from the files that define plug-ins.
# usage: register.sh KIND "FILE..." [KIND "FILE..."]...    a kind that is not given is empty
set -eu

root=$(dirname "$0")/..
kinds="stage world reward judge suite report command work"

# The variables that a kind's files define, such as stage_sft.
variables_of() {
    wanted=$1
    shift
    while [ $# -gt 1 ]; do
        if [ "$1" = "$wanted" ]; then
            for file in $2; do
                found=$(sed -n "s/^const struct $wanted \(${wanted}_[a-z0-9_]*\) = .*/\1/p" "$root/$file")
                if [ -z "$found" ]; then
                    echo "register.sh: $file defines no 'const struct $wanted ${wanted}_NAME = {...}'" >&2
                    exit 1
                fi
                echo "$found"
            done
        fi
        shift 2
    done
}

cat <<END
/* Made by harness/register.sh. */
#include "harness/command.h"
#include "harness/registry.h"
#include "judges/judge.h"
#include "models/work.h"
#include "rewards/reward.h"
#include "suites/suite.h"

END

for kind in $kinds; do
    variables=$(variables_of "$kind" "$@")
    for variable in $variables; do echo "extern const struct $kind $variable;"; done
    echo "const struct $kind *const ${kind}s[] = {"
    for variable in $variables; do echo "    &$variable,"; done
    printf '    NULL,\n};\n\n'
done

echo "const struct listing listings[] = {"
for kind in stage world reward judge suite report; do
    case $kind in
    stage | reward) fields='options presets' ;;
    world | judge) fields=options ;;
    suite) fields=metrics ;;
    *) fields= ;;
    esac
    for variable in $(variables_of "$kind" "$@"); do
        printf '    {.kind = "%s", .name = &%s.name, .summary = &%s.summary' "$kind" "$variable" "$variable"
        for field in $fields; do printf ', .%s = &%s.%s' "$field" "$variable" "$field"; done
        echo '},'
    done
done
printf '    {0},\n};\n'
