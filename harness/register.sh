#!/bin/sh
# Prints registry.c: the arrays of harness/registry.h and harness/command.h, from lists of names.
# usage: register.sh "stage world sft ppo" "world safety summary" "command run list" ...
# Each argument is a kind and the plug-ins of it; a kind that is not given is empty.
set -eu

kinds="stage world reward judge suite report command"

# The names given for a kind.
names_of() {
    wanted=$1
    shift
    for list; do
        case $list in
        "$wanted "*) echo "${list#"$wanted "}" ;;
        esac
    done
}

for list; do
    kind=${list%% *}
    case " $kinds " in
    *" $kind "*) ;;
    *)
        echo "register.sh: '$kind' is none of: $kinds" >&2
        exit 1
        ;;
    esac
done

cat <<END
/* Made by harness/register.sh. */
#include "harness/command.h"
#include "harness/registry.h"
#include "judges/judge.h"
#include "rewards/reward.h"
#include "suites/suite.h"

END

for kind in $kinds; do
    for name in $(names_of "$kind" "$@"); do
        echo "extern const struct $kind ${kind}_$name;"
    done
    echo "const struct $kind *const ${kind}s[] = {"
    for name in $(names_of "$kind" "$@"); do
        echo "    &${kind}_$name,"
    done
    printf '    NULL,\n};\n\n'
done

echo "const struct listing listings[] = {"
for kind in stage world reward judge suite report; do
    case $kind in
    stage | reward) fields='options presets' ;;
    world) fields=options ;;
    *) fields= ;;
    esac
    for name in $(names_of "$kind" "$@"); do
        printf '    {.kind = "%s", .name = &%s_%s.name, .summary = &%s_%s.summary' "$kind" "$kind" "$name" "$kind" "$name"
        for field in $fields; do printf ', .%s = &%s_%s.%s' "$field" "$kind" "$name" "$field"; done
        echo '},'
    done
done
printf '    {0},\n};\n'
