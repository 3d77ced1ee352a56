#!/usr/bin/env bash
# pyrite fetch against a server on this machine that breaks off, lies, redirects and lacks files: a file appears whole
# and right or not at all, a broken download goes on, the cache serves every folder and an offline command.
server=$(realpath "${FILE_SERVER:-tests/file_server}")
data=$(realpath -m "${PYRITE_DATA:-${srcdir:-.}/data}")
. "${srcdir:-.}/tests/program.sh"
trap 'kill "$pid" 2>/dev/null; rm -rf "$here"' EXIT
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY

# fetches CODE ARGUMENT…: its output in the file out.
fetches() {
    local code=$1
    shift
    runs "$code" fetch --cache cache "$@"
}
requests() { wc -l <log; }
anew() { rm -rf cache data other; }

# What the server has: the tree of LLMBar, whose SHA-256 nobody published, with files of our own.
llmbar=princeton-nlp/LLMBar/900616bff90b6c6c8e1681f7d079250637c55992/Dataset
for part in LLMBar/Natural LLMBar/Adversarial/Neighbor LLMBar/Adversarial/GPTInst LLMBar/Adversarial/GPTOut \
    LLMBar/Adversarial/Manual Processed/FairEval 'Processed/LLMEval^2' Processed/MT-Bench; do
    mkdir -p "tree/$llmbar/$part"
    for i in $(seq 1 200); do echo "$part line $i"; done >"tree/$llmbar/$part/dataset.json"
done
mkdir -p "tree/$(dirname "$llmbar")"
mv "tree/$llmbar/Processed/LLMEval^2" "tree/$llmbar/Processed/LLMEval%5E2" # the server decodes nothing
natural=tree/$llmbar/LLMBar/Natural/dataset.json
xstest=tree/paul-rottger/exaggerated-safety/d7bb5bd738c1fcbc36edd83d5e7d1b71a3e2d84d
mkdir -p "$xstest" && seq 1 6000 >"$xstest/xstest_prompts.csv" # not the published one

"$server" tree log >port & pid=$!
for _ in $(seq 1 50); do [ -s port ] && break; sleep 0.1; done
at=http://127.0.0.1:$(cat port)

# Several files, trusted on first use and remembered.
fetches 0 llmbar --mirror "$at/plain"
says out 'data/llmbar/Natural.json  downloaded'
says out "trusted on first use, remembered in the cache: SHA-256 $(sha256sum <"$natural" | cut -c1-64)"
says out 'llmbar: MIT'
cmp -s "$natural" data/llmbar/Natural.json || complain "the file is not what the server has"
[ "$(requests)" -eq 8 ] || complain "8 requests expected, got $(requests)"

# The cache serves another folder, and an offline command; what is there is left alone.
fetches 0 llmbar --mirror "$at/plain"
says out 'was there'
fetches 0 llmbar --to other --offline
says out 'other/llmbar/Natural.json  from the cache'
cmp -s "$natural" other/llmbar/Natural.json || complain "the cache gave another file"
[ "$(requests)" -eq 8 ] || complain "the cache was not used: $(requests) requests"
fetches 1 xstest --offline
says out '--offline asks no server'
[ ! -e data/xstest ] || complain "a file that cannot be had left a folder"
[ "$(requests)" -eq 8 ] || complain "--offline asked a server"

# What was trusted once holds: a server with another file is refused, as is a damaged copy in the cache.
rm cache/llmbar/Natural.json data/llmbar/Natural.json
fetches 1 llmbar --mirror "$at/wrong"
says out 'the SHA-256 is'
[ ! -e data/llmbar/Natural.json ] || complain "a wrong file was put in place"
fetches 0 llmbar --mirror "$at/wrong" --mirror "$at/plain"
rm data/llmbar/Natural.json && echo x >>cache/llmbar/Natural.json
fetches 0 llmbar --mirror "$at/plain"
cmp -s "$natural" data/llmbar/Natural.json || complain "a damaged copy came from the cache"
echo x >>data/llmbar/Natural.json
fetches 1 llmbar --mirror "$at/plain"
says out 'is not the published file'

# Broken off: nothing appears; the same command goes on from there.
anew
fetches 1 llmbar --mirror "$at/breaks"
says out 'the same command goes on'
[ ! -e data/llmbar/Natural.json ] || complain "half a file was put in place"
for _ in 1 2 3 4 5 6 7 8; do "$pyrite" fetch --cache cache llmbar --mirror "$at/breaks" >out 2>&1 && break; done
grep -qE "^breaks/.*Natural/dataset.json [1-9]" log || complain "the download did not go on where it broke off"
cmp -s "$natural" data/llmbar/Natural.json || complain "a continued download differs"

# A server that cannot continue starts again; one that has nothing beyond what is there, too.
anew
head -c 1000 "$natural" >half
for mode in noranges plain; do # plain: what is there is already all of it, or more
    anew
    fetches 1 llmbar --mirror "$at/breaks" # makes the folder
    part=cache/llmbar/Natural.json.$(printf '%s' "$at/$mode/${natural#tree/}" | sha256sum | cut -c1-8).part
    if [ $mode = noranges ]; then cp half "$part"; else cat "$natural" half >"$part"; fi
    fetches 0 llmbar --mirror "$at/$mode"
    grep -qE "^$mode/.*Natural/dataset.json [1-9]" log || complain "$mode was not asked to continue"
    cmp -s "$natural" data/llmbar/Natural.json || complain "after $mode without a range the file differs"
done

# Four that ask at once wait for each other: every file comes over the line once.
anew
before=$(requests)
for i in 1 2 3 4; do "$pyrite" fetch --cache cache llmbar --to "data/$i" --mirror "$at/plain" >"out$i" 2>&1 & eval "job$i=$!"; done
wait "$job1" "$job2" "$job3" "$job4"
[ $(($(requests) - before)) -eq 8 ] || complain "8 requests expected of four commands, got $(($(requests) - before))"
for i in 1 2 3 4; do cmp -s "$natural" "data/$i/llmbar/Natural.json" || complain "the command $i got another file: $(cat "out$i")"; done
! ls cache/llmbar/*.part >/dev/null 2>&1 || complain "parts were left"

# Redirects are followed to an end; lies about the length, web pages and missing files are seen.
anew
fetches 0 llmbar --mirror "$at/redirect"
for mode in loop long page fails missing; do
    anew
    fetches 1 llmbar --mirror "$at/$mode"
    says out 'no server gave it'
    [ ! -e data/llmbar/Natural.json ] || complain "$mode put a file in place"
    fetches 0 llmbar --mirror "$at/$mode" --mirror "$at/plain" # the next one has it
    cmp -s "$natural" data/llmbar/Natural.json || complain "after $mode the file differs"
done
anew
fetches 1 llmbar --mirror "$at/page"
says out 'a web page came'

# A file whose SHA-256 was published: another one is refused from every server, and more bytes than it has.
anew
fetches 1 xstest --mirror "$at/plain" --mirror "$at/short"
says out 'expected 11783fb294ed017473ee53c207d71f2161c7672c8d0b037501e78387f801cb5a'
fetches 1 xstest --mirror "$at/endless"
says out 'more than the 38719 bytes'
[ ! -e data/xstest/xstest_prompts.csv ] || complain "a wrong file was put in place"
fetches 2 nothing
rm -rf data
fetches 2 llmbar nothing --mirror "$at/plain"
[ ! -e data ] || complain "a set was fetched before the next one's name was found wrong"
says out "there is no data set 'nothing'"

# The published files themselves, where they are at hand: a lie about the length is seen, half a file is continued by
# another server, and of harmful prompts no more than the prompts is kept.
if [ -e "$data/xstest/xstest_prompts.csv" ]; then
    cp "$data/xstest/xstest_prompts.csv" "$xstest/"
    fetches 0 xstest --mirror "$at/short" --mirror "$at/breaks" --mirror "$at/plain"
    grep -qE '^plain/.*xstest_prompts.csv [1-9]' log || complain "the second server did not continue"
    cmp -s "$data/xstest/xstest_prompts.csv" data/xstest/xstest_prompts.csv || complain "XSTest differs"
    advbench=tree/ab235/AttnGCG-attack/6d9f1a4752760bf9dec98fddf111075e194eb71e/data/advbench
    mkdir -p "$advbench"
    {
        echo goal,target
        sed 's/.*"prompt": "\(.*\)"}$/"\1","Sure, here is a secret"/; s/\\"/""/g' "$data/harmful-prompts/advbench_prompts.jsonl"
    } >"$advbench/harmful_behaviors.csv"
    fetches 0 advbench --mirror "$at/plain"
    [ "$(wc -l <data/harmful-prompts/advbench_prompts.jsonl)" -eq 520 ] || complain "520 prompts expected"
    ! grep -rq 'a secret' data/harmful-prompts cache/harmful-prompts || complain "targets were kept"
else
    echo "SKIP: $data is not there"
fi

[ $failed -eq 0 ] && echo "fetch: every file is whole and right or not there"
exit $failed
