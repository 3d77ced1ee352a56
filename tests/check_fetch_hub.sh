#!/usr/bin/env bash
# pyrite fetch hf:… against a hub on this machine that breaks off, ignores ranges, redirects to another host, lies about
# length, asks for a token and for patience: files of one commit appear whole and right or not at all, and the token
# goes to the hub alone.
server=$(realpath "${FILE_SERVER:-tests/file_server}")
. "${srcdir:-.}/tests/program.sh"
trap 'kill "$pid" 2>/dev/null; rm -rf "$here"' EXIT
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY HF_TOKEN

# gets CODE MODE ARGUMENT…: with the hub behaving so.
gets() {
    local code=$1 mode=$2
    shift 2
    HF_ENDPOINT=$at/$mode runs "$code" fetch --cache cache "$@"
}
anew() { rm -rf cache data; : >log; }
asked() { grep -c "$1" log; }

# A model of two shards, a data set and a repository of GGUF files, as a hub shows them.
commit=0123456789abcdef0123456789abcdef01234567
model=tree/org/tiny/resolve/$commit
mkdir -p "$model" tree/api/models/org/tiny/revision
echo '{"model_type": "llama"}' >"$model/config.json"
echo '{"version": "1.0"}' >"$model/tokenizer.json"
for i in 1 2; do seq $((i * 1000)) $((i * 9000)) >"$model/model-0000$i-of-00002.safetensors"; done
echo '{}' >"$model/model.safetensors.index.json"
entry() { printf '{"rfilename":"%s","size":%d%s}' "$1" "$(wc -c <"$2")" "${3:-}"; }
shard() { entry "$1" "$model/$1" ",\"blobId\":\"x\",\"lfs\":{\"sha256\":\"$(sha256sum <"$model/$1" | cut -c1-64)\",\"size\":1,\"pointerSize\":3}"; }
listing() {
    echo "{\"id\":\"org/tiny\",\"sha\":\"$commit\",\"siblings\":[$(entry config.json "$model/config.json"),"
    echo "$(entry tokenizer.json "$model/tokenizer.json"),$(entry model.safetensors.index.json "$model/model.safetensors.index.json"),"
    echo "$(shard model-00001-of-00002.safetensors),$(shard model-00002-of-00002.safetensors),"
    echo '{"rfilename":"pytorch_model.bin","size":99},{"rfilename":"onnx/model.onnx","size":99},{"rfilename":"consolidated.00.safetensors","size":99}]}'
}
for revision in main "$commit" v1; do listing >"tree/api/models/org/tiny/revision/$revision?blobs=true"; done

"$server" tree log >port & pid=$!
for _ in $(seq 1 50); do [ -s port ] && break; sleep 0.1; done
at=http://127.0.0.1:$(cat port)
first=model-00001-of-00002.safetensors
whole() {
    for file in config.json tokenizer.json model.safetensors.index.json $first model-00002-of-00002.safetensors; do
        cmp -s "$model/$file" "data/org/tiny/$file" || complain "$1: $file is not what the hub has"
    done
    [ "$(ls data/org/tiny | wc -l)" -eq 5 ] || complain "$1: 5 files expected, got $(ls data/org/tiny | tr '\n' ' ')"
}

# Weights, configuration and tokenizer come, and nothing else; again, and offline, nothing is asked for but the commit.
gets 0 plain hf:org/tiny
whole plain
says out "org/tiny: commit $commit, 5 files"
says out "data/org/tiny/$first  downloaded"
[ "$(asked resolve)" -eq 5 ] || complain "5 downloads expected"
gets 0 plain hf:org/tiny@main
says out 'was there'
[ "$(asked resolve)" -eq 5 ] || complain "what was there was fetched again"
rm -rf data
gets 0 missing hf:org/tiny --offline
whole offline
says out 'from the cache'
gets 1 plain hf:org/other --offline
says out 'org/other at main is not in the cache'
gets 1 plain hf:org/tiny@v2 --offline
gets 0 plain "hf:org/tiny@$commit"
before=$(wc -l <log)
gets 0 plain "hf:org/tiny@$commit" # a commit is asked for once
[ "$(wc -l <log)" -eq "$before" ] || complain "a known commit was asked for again"
anew
gets 0 plain "hf:org/tiny@v1/$first"
[ "$(ls data/org/tiny)" = "$first" ] || complain "one file was asked for, got $(ls data/org/tiny)"
gets 1 plain hf:org/tiny/none.bin
says out "org/tiny has no file 'none.bin'"

# A line that is cut again and again is taken up where it was, within one command; a server without ranges begins anew.
anew
gets 0 drips hf:org/tiny
whole drips
grep -qE "^drips/.*$first [1-9]" log || complain "the download did not go on"
for mode in breaks noranges redirect; do
    anew
    gets 0 $mode hf:org/tiny
    whole $mode
done
mkdir -p "cache/hf/models/org/tiny/$commit" && rm -rf data
rm -f cache/hf/models/org/tiny/$commit/$first
head -c 500 "$model/$first" >"cache/hf/models/org/tiny/$commit/$first.part"
gets 0 plain hf:org/tiny
whole "a part from before"
grep -qE "^plain/.*$first 500" log || complain "what an earlier command left was not used"
rm -rf data "cache/hf/models/org/tiny/$commit/$first"
head -c 500 /dev/zero >"cache/hf/models/org/tiny/$commit/$first.part" # a part of something else
gets 0 plain hf:org/tiny
whole "a part of another file"

# Lies: half a file that says it is whole, more than there is, another one, more than it may have, a web page.
for mode in short long wrong endless page fails; do
    anew
    gets 0 plain hf:org/tiny/config.json # the list and one file are known
    gets 1 $mode "hf:org/tiny@main/$first" --offline
    cp "cache/hf/models/org/tiny/main.json" "cache/hf/models/org/tiny/$commit.json"
    gets 1 $mode "hf:org/tiny@$commit/$first"
    [ ! -e "data/org/tiny/$first" ] || complain "$mode put a file in place"
    gets 0 plain "hf:org/tiny@$commit/$first"
    cmp -s "$model/$first" "data/org/tiny/$first" || complain "after $mode the file differs"
done
anew
gets 1 missing hf:org/tiny
says out 'HTTP 404, there is no such thing'

# The token goes to the hub, and not where the hub sends us; it is asked for in words, and never shown.
anew
gets 1 token hf:org/tiny
says out 'HTTP 401, it asks who you are'
HF_TOKEN=wrong gets 1 token hf:org/tiny
says out 'HTTP 403, the token is not accepted'
HF_TOKEN=secret gets 0 token hf:org/tiny
whole token
[ "$(grep -c '^token.* token$' log)" -ge 6 ] || complain "the hub did not get its token"
anew
HF_TOKEN=secret gets 0 elsewhere hf:org/tiny
whole elsewhere
grep -q '^elsewhere/.*resolve.*127.0.0.1 token$' log || complain "the hub did not get its token"
grep -q '^plain/.* localhost$' log || complain "the other host was not asked"
! grep -q 'localhost token' log || complain "the token went to another host"
! grep -rq secret cache out data || complain "the token was written"
HF_TOKEN=$'a\nb' gets 1 plain hf:org/tiny
says out 'HF_TOKEN holds a space, a line end'
HF_TOKEN=secret HF_ENDPOINT=http://example.invalid runs 1 fetch --cache cache hf:org/tiny
says out 'unencrypted'

# Too many requests: it waits as it is told, but not for a day.
anew
gets 0 busy hf:org/tiny
whole busy
says out 'HTTP 429; asked again in 1 s'
anew
gets 1 closed hf:org/tiny
says out 'HTTP 429'

# What a hub may say that is no list of files, and names that are none.
odd() {
    anew
    mkdir -p tree/api/models/org/odd/revision
    echo "$1" >'tree/api/models/org/odd/revision/main?blobs=true'
    gets 1 plain hf:org/odd
    says out "$2"
    [ ! -e data/org/odd ] || complain "files came of $1"
}
odd 'nothing' 'not valid JSON'
odd '{"sha":"main","siblings":[]}' 'names no commit and files'
odd "{\"sha\":\"$commit\",\"siblings\":3}" 'list of files is none'
odd "{\"sha\":\"$commit\",\"siblings\":[{\"rfilename\":\"a.bin\",\"size\":3}]}" 'pickle'
odd "{\"sha\":\"$commit\",\"siblings\":[{\"rfilename\":\"a.gguf\",\"size\":3},{\"rfilename\":\"b.gguf\",\"size\":3}]}" '2 GGUF files; name one'
odd "{\"sha\":\"$commit\",\"siblings\":[{\"rfilename\":\"model.safetensors\",\"size\":-3}]}" 'no size'
odd "{\"sha\":\"$commit\",\"siblings\":[{\"rfilename\":\"model.safetensors\",\"size\":3,\"lfs\":{\"sha256\":\"xyz\"}}]}" '64 hex digits'
odd "{\"sha\":\"$commit\",\"siblings\":[{\"rfilename\":\"\\u0007.safetensors\",\"size\":3}]}" 'which no folder can hold'
anew
echo "{\"sha\":\"$commit\",\"siblings\":[{\"rfilename\":\"../../../evil.jsonl\",\"size\":3}]}" >tree/evil
mkdir -p tree/api/datasets/org/set/revision
cp tree/evil 'tree/api/datasets/org/set/revision/main?blobs=true'
gets 1 plain hf:datasets/org/set
says out 'which no folder can hold'
for name in hf: hf:/x hf:a/../b hf:org/name@ hf:org/name/ hf:org/name/../x 'hf:org/na me' hf:../x; do gets 2 plain "$name"; done
gets 2 plain hf:org/tiny xstes
[ ! -e data ] || complain "something was fetched before the next name was found wrong"

# A data set: what can be read of it, in its folders.
data=tree/datasets/org/set/resolve/$commit
mkdir -p "$data/data"
echo '{"chosen":"x a","rejected":"x b"}' >"$data/data/train.jsonl"
echo "{\"sha\":\"$commit\",\"siblings\":[$(entry data/train.jsonl "$data/data/train.jsonl"),{\"rfilename\":\"data/train.parquet\",\"size\":3}]}" \
    >'tree/api/datasets/org/set/revision/main?blobs=true'
gets 0 plain hf:datasets/org/set
cmp -s "$data/data/train.jsonl" data/org/set/data/train.jsonl || complain "the data set is not there"

[ $failed -eq 0 ] && echo "hub: every file is whole and right or not there, and the token stays where it belongs"
exit $failed
