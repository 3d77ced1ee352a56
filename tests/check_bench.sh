#!/usr/bin/env bash
# The race of `pyrite bench compare` with other programs that answer as tools/peers.py does, or do not.
source=$(realpath "$(dirname "$0")/..")
. "$(dirname "$0")/program.sh"

cat >peer <<'END'
#!/bin/sh
# usage: peer SCRIPT PEER FLAG...
grep -q '"""The programs that' "$1" || exit 9
while read -r line; do
    case $2,$line in
    *,*hello*) echo "{\"name\": \"fake $2\"}" ;;
    *,*open*compiled*) printf '%s\n' '{"progress": "10 s so far"}' '{"progress": "20 s so far"}' '{"loss": 9.25}' ;;
    *,*open*) echo '{"loss": 9.25}' ;;
    pytorch-as-installed,*turn*) exit 3 ;;
    *,*turn*) echo '{"seconds": 1000, "tokens": 2000}' ;;
    *,*close*) echo '{"peak_bytes": 3e9}' ;;
    *) echo '{}' ;;
    esac
done
END
chmod +x peer
race() { runs "$1" bench compare --only "train S10M 4 x 64" --rounds 1 --threads 1 --cpu-time --folder weights "${@:2}"; }

# A peer that dies is said, and the others' figures are there; the document's section is filled, the rest of it stays.
printf 'before\n<!-- race -->\nold\n<!-- end of race -->\nafter\n' >page.md
race 0 --python ./peer --out race.json --write page.md
says out 'PyTorch f32 | 2 [2, 2] | 1 '
says out 'PyTorch f32, as installed: ./peer ended with code 3 instead of answering.'
says out 'PyTorch f32 9.25'
grep -qE '^\| pyrite f32 \| [0-9]+ \[' out || complain "no figure of its own in"$'\n'"$(cat out)"
says race.json '"name": "fake pytorch"'
says page.md '### train S10M 4 x 64'
[ "$(head -2 page.md)" = $'before\n<!-- race -->' ] && [ "$(tail -2 page.md)" = $'<!-- end of race -->\nafter' ] ||
    complain "what stands around the tables changed:"$'\n'"$(cat page.md)"
! grep -q '^old$' page.md || complain "the section's old text is still there"

# What a program says while it compiles is given on, and its figures are there.
race 0 --python ./peer --compile
says out 'train S10M 4 x 64, PyTorch bf16, compiled: compiles, which can take minutes'
says out '20 s so far'
says out '| PyTorch bf16, compiled | 2 [2, 2] | 1 |'

# Without the interpreter its own figures are there.
race 0 --python ./no-such-python
says out 'PyTorch f32: cannot start ./no-such-python (No such file or directory).'
grep -qE '^\| pyrite f32 \| [0-9]+ \[' out || complain "no figure of its own in"$'\n'"$(cat out)"

# A model that is given is raced in numbers of bf16, which every program reads in a format of its own.
runs 0 bench compare --model "$source/bases/safety/" --only "decode x 1" --rounds 1 --threads 1 --cpu-time --folder weights \
    --python ./no-such-python
says out 'Model: safety.'
says out '### decode x 16'
grep -qE '^\| pyrite bf16 \| [0-9]+ \[' out || complain "no figure of its own in"$'\n'"$(cat out)"
cmp -s weights/safety/model.safetensors "$source/bases/safety/model.safetensors" || complain "its numbers of bf16 changed"
"$pyrite" inspect weights/safety/Q8_0.gguf | grep -q '29 Q8_0' || complain "no GGUF file of Q8_0"
runs 2 bench compare --model weights/safety --folder weights
says out 'the copies of weights/safety would be written upon it: give another --folder'
runs 2 bench compare --model nowhere.gguf
says out 'nowhere.gguf'

# Rollouts without the other programs, beside their floors.
runs 0 bench generate --only "S10M x 1" --rounds 1 --threads 1 --cpu-time
grep -qE '^generate S10M x 16 +[0-9]+ +[0-9]+ +[0-9]+ +[0-9]\.[0-9]+ +[0-9]\.[0-9]+$' out || complain "no rollout in"$'\n'"$(cat out)"
runs 0 bench generate --only "S10M x 16" --rounds 1 --threads 1 --cpu-time --json
says out '"memory_share"'

# Some of the operations, beside their floors.
runs 0 bench operations --only layernorm --rounds 1 --threads 1
grep -qE '^layernorm +[0-9.]+ +[0-9.]+ +[0-9.]+  bytes$' out || complain "no time of layernorm in"$'\n'"$(cat out)"
[ "$(grep -c bytes out)" -eq 2 ] || complain "layernorm and its gradients alone expected:"$'\n'"$(cat out)"
runs 2 bench operations --only juggling --rounds 1 --threads 1
says out 'no operation has "juggling" in its name'

# PyTorch beside them: 1000 seconds a call; what it has no call for has no time.
runs 0 bench operations --only swiglu --rounds 1 --threads 1 --python ./peer
says out 'beside fake pytorch'
grep -qE '^swiglu +[0-9.]+ +[0-9.]+ +[0-9.]+ +- +-  bytes$' out || complain "no line without PyTorch in"$'\n'"$(cat out)"
runs 0 bench operations --only layernorm --rounds 2 --threads 1 --python ./peer
grep -qE '^layernorm +[0-9.]+ +[0-9.]+ +[0-9.]+ +1000000000\.0 +[0-9.]+  bytes$' out || complain "no time of PyTorch's in"$'\n'"$(cat out)"
runs 0 bench operations --only layernorm --rounds 1 --threads 1 --python ./peer --json
says out '"pytorch_seconds": 1000'
cat >without <<'END'
#!/bin/sh
while read -r line; do echo '{"error": "No module named '"'torch'"'; pip install torch numpy"}'; done
END
chmod +x without
runs 2 bench operations --only layernorm --rounds 1 --threads 1 --python ./without
[ "$(cat out)" = "pyrite: No module named 'torch'; pip install torch numpy" ] || complain "one sentence expected:"$'\n'"$(cat out)"
runs 2 bench operations --only layernorm --rounds 1 --threads 1 --python ./no-such-python
says out 'cannot start ./no-such-python (No such file or directory)'

# What cannot be done is said before anything is measured.
echo 'no place' >bare.md
race 2 --python ./peer --write bare.md
says out 'bare.md has no section "race": a line <!-- race -->'
runs 2 bench compare --device cuda --model "$source/bases/safety"
says out 'a model that is given is raced on the processor: leave out --device'
runs 2 bench compare --device cuda --cpu-time
says out "a device's work takes no processor seconds: leave out --cpu-time"
runs 2 bench compare --device cpu-bf16
says out "the race is run on cpu, or with all its modes on cuda, not on 'cpu-bf16'"
runs 2 bench compare --only "no such work"
says out 'no work has "no such work" in its name'
runs 2 bench compute
says out "cannot bench 'compute'"

# What grows: two points of it.
runs 0 bench growth --only threads --rounds 1 --folder weights --out growth.json
grep -qE '^\| threads \| 1 threads \| 1\.0 \| 1\.00 \| 1\.00 ' out || complain "no table of growth in"$'\n'"$(cat out)"
says growth.json '"unit": "threads"'
grep -qE '"peak_bytes": [1-9][0-9]{7}' growth.json || complain "no memory in"$'\n'"$(cat growth.json)"
runs 2 bench growth --only age
says out 'nothing that grows has "age" in its name'

# Text to tokens and back, with a tokenizer that is learned from it and with one that is there.
runs 0 bench tokenize --cpu-time --rounds 1 --text "$source/README.md"
grep -qE '^encode +[0-9]+\.[0-9]' out || complain "no speed in"$'\n'"$(cat out)"
runs 0 bench tokenize --cpu-time --rounds 1 --json --text "$source/README.md" --tokenizer "$source/bases/safety"
says out "\"bytes\": $(wc -c <"$source/README.md")"
runs 2 bench tokenize
says out "--text FILE"
runs 2 bench tokenize --text no-such-file
says out "no-such-file"

# What serve answers to requests that make no sense.
printf '%s\n' '{"do": "hello"}' '{"do": "jump"}' 'no JSON' '{"do": "turn", "key": "x"}' \
    '{"do": "open", "key": "x", "work": "dance"}' \
    '{"do": "open", "key": "x", "work": "train", "mode": "abacus", "order": {"weights": "weights/S10M", "rows": 1}}' \
    '{"do": "open", "key": "x", "work": "train", "order": {"weights": "nowhere", "rows": 1, "length": 8}}' |
    "$pyrite" bench serve >out 2>&1 || complain "serve failed"
[ "$(wc -l <out)" -eq 7 ] || complain "7 answers expected:"$'\n'"$(cat out)"
says out 'cannot do \"jump\"'
says out 'no work is open under the key \"x\"'
says out 'there is no work \"dance\"'
says out 'this machine has no device \"abacus\"'
says out 'there is no folder nowhere; a model'
exit $failed
