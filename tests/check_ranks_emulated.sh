#!/usr/bin/env bash
# Training shared by ranks that have a GPU each, on devices in software and with NCCL in software between them
# (tests/emulator): the same gradients and samples as one, a run that another number goes on with, and what is said
# where NCCL is missing, old or fails.
. "${srcdir:-.}/tests/program.sh"
source=$(cd "$OLDPWD" && realpath "${srcdir:-.}")
. "$source/tests/ranks.sh"
tests=$(dirname "$pyrite")/tests
pyrite=$tests/emulated_pyrite
show=$tests/emulated_ranks
device=cuda
[ -x "$show" ] || { echo "SKIP: no C++ compiler made the devices in software"; exit 77; }
export EMULATED_DEVICES=4 TMPDIR=$here LD_LIBRARY_PATH=$tests/emulator${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}

# What leaves for another rank is read as soon as a device could, or as late as it may: a missing wait shows in one.
alone one
ranks 2 two
EMULATED_NCCL_EAGER=1 ranks 2 eager
ranks 4 four
alone adapter 8
ranks 2 adapter-late 8 adapter
EMULATED_NCCL_EAGER=1 ranks 2 adapter-eager 8 adapter
cmp adapter-late/checkpoint adapter-eager/checkpoint || complain "adapters end in other bytes when NCCL reads sooner"
cmp two/checkpoint eager/checkpoint || complain "two ranks end in other bytes when NCCL reads sooner"
whole=$(awk '/^moments/ { print $4 }' one/said)
says two/said "moments $(((whole + 1) / 2)) of $whole at most"
says four/said "moments $(((whole + 3) / 4)) of $whole at most"

cat >recipe.yaml <<'END'
name: ranks
matrix: {world: [safety], seed: [1]}
steps:
  data: {use: world, world: $world, demonstrations: 40, pairs: 16, prompts: 16, heldout: 4, ood: 2, heldout_pairs: 6, ood_pairs: 2}
  tokens: {use: tokenizer, data: [data], vocab: 300}
  sft:
    {use: sft, model: {layers: 1, width: 16, heads: 2, context: 160}, tokenizer: tokens, data: [data], steps: 12, batch: 3,
     lr: 3e-3, checkpoint_every: 2, evaluate_every: 0}
  rm:
    {use: reward, reward: scalar, base: sft, data: [data], steps: 2, batch: 3, normalise: none, evaluate_every: 0}
  ppo:
    {use: ppo, policy: sft, reward: rm, data: [data], iterations: 2, episodes: 3, minibatches: 3, epochs: 1, max_new: 6,
     matrix: {ptx: [0, 1]}, ptx: $ptx, ptx_rows: 1}
report: {formats: [json]}
END
run=("$pyrite" run recipe.yaml --threads 1 --device $device --out)

"${run[@]}" single >alone 2>&1 || complain "one process: $(cat alone)"
mpirun -np 2 "${run[@]}" double >out 2>&1 || complain "two ranks: $(cat out)"
# What a step says that it takes counts the moments that one rank keeps.
moments() { grep -o 'sft: takes.*moments [0-9.]* KiB' "$1" | sed 's/.*moments //; s/ KiB//'; }
awk -v all="$(moments alone)" -v half="$(moments out)" 'BEGIN { exit !(all > 0 && half / all > 0.49 && half / all < 0.51) }' ||
    complain "two ranks plan for $(moments out) KiB of moments, one for $(moments alone)"
# What NCCL takes of a device is taken before the first step that shares work asks how much is free.
says out "on cuda, where 7.94 GiB of 8 GiB are free"
says alone "on cuda, where 8 GiB of 8 GiB are free"
for step in sft rm; do near {single,double}/steps/safety/1/$step/log.jsonl loss gradient; done
# From the same policy the first iteration is the same to the last digit; of its minibatches of one row each, and of
# their one row of demonstrations, three ranks in four have nothing to add.
cp -r single split && rm -rf split/steps/safety/1/ppo split/report
mpirun -np 4 "${run[@]}" split >out 2>&1 || complain "four ranks: $(cat out)"
for ptx in 0 1; do
    logs=({single,split}/steps/safety/1/ppo/$ptx/log.jsonl)
    [ "$(first_row "${logs[0]}")" = "$(first_row "${logs[1]}")" ] || complain "four ranks' first iteration is not one's"
    near "${logs[@]}" reward kl length
done

interrupted sft 3 mpirun -np 2 "${run[@]}" resumed
interrupted sft 6 mpirun -np 1 "${run[@]}" resumed
mpirun -np 4 "${run[@]}" resumed >out 2>&1 || complain "four ranks did not go on: $(cat out)"
for step in sft rm; do near {single,resumed}/steps/safety/1/$step/log.jsonl loss; done

# fails TEXT [VARIABLE=VALUE…]: the second rank alone has these in its environment; the sentence is said once.
fails() {
    local text=$1
    shift
    mkdir -p three
    mpirun -q -np 1 "$show" $device three : -np 1 env "$@" "$show" $device three >out 2>&1 && complain "no failure: $text"
    says out "$text"
    [ "$(grep -c '^rank ' out)" = 1 ] || complain "not one sentence: $(cat out)"
}
mkdir empty && : >empty/libnccl.so.2
fails "rank 1: several devices need NCCL (install libnccl2, or name its folder in LD_LIBRARY_PATH): " LD_LIBRARY_PATH="$here/empty"
fails "rank 1: libnccl.so.2: its version has the code 21000, and 21304 or later is needed" EMULATED_NCCL_VERSION=21000
fails "NCCL: remote process exited or there was a network error: it is EMULATED_NCCL_FAILURE" EMULATED_NCCL_FAILURE=9
fails "rank 1: the devices' first exchange: " EMULATED_NCCL_FAILURE=1
mpirun -np 2 env EMULATED_DEVICES=1 "${run[@]}" failed >out 2>&1 && complain "two ranks with one device were not refused"
says out "pyrite: step safety/1/sft: ranks 0 and 1 have the same GPU, and each needs its own"
[ "$(grep -c '^pyrite: ' out)" = 1 ] || complain "not one sentence: $(cat out)"

[ $failed -eq 0 ] && echo "ranks: 2 and 4 devices are as good as 1"
exit $failed
