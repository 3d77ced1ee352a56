#!/usr/bin/env bash
# All that only a machine with an NVIDIA device can check: operations and models against the CPU's, a run's training
# curves and greedy answers against the CPU's, its sampler's log-probabilities against its trainer's, resuming after
# kills, and compute-sanitizer where it is installed. Tests of operations end with times beside their floors.
# environment: PYRITE, TESTS (the folder with cuda_attention, cuda_bf16, cuda_groups, cuda_ops, cuda_products, cuda_model, cuda_queue, cuda_steps and cuda_cublas), BINARIES
# (the same, where TESTS has scripts that start them), SANITIZE (yes), SANITIZE_SECONDS (tests/sanitize.sh)
set -u
pyrite=${PYRITE:-./pyrite}
tests=${TESTS:-tests}
here=$(cd "$(dirname "$0")" && pwd)
recipe=$here/tiny.yaml
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CK_FORK=no CK_TIMEOUT_MULTIPLIER=20
failed=0

part() { printf '\n== %s (%s)\n' "$*" "$(date +%T)"; }
check() {
    "$@"
    local status=$?
    [ $status -ne 77 ] || { echo "SKIP: no CUDA device"; exit 77; }
    [ $status -eq 0 ] || { echo "FAIL ($status): $*"; failed=1; }
}

# The values of a field in the rows of a log.
field() { grep -o "\"$1\":[^,}]*" "$2" | cut -d: -f2; }

# curve NAME: the largest relative difference of a step's losses between the two devices stays below 2 %.
curve() {
    paste <(field loss "$work/cpu/$1/log.jsonl") <(field loss "$work/cuda/$1/log.jsonl") | awk -v name="$1" '
        { off = ($1 - $2) / $1; if (off < 0) off = -off; if (off > worst) worst = off; last = $1; other = $2; n++ }
        END { printf "%s: %d losses, last %g on the CPU, %g here, at most %.2g %% apart\n", name, n, last, other, 100 * worst
              exit !(n > 0 && worst < 0.02) }'
}

# greedy MODEL: the likeliest answers to 16 prompts are the CPU's, every byte of them.
greedy() {
    local device
    for device in cpu cuda; do
        sed -n '1,16s/.*"prompt":"\([^"\\]*\)".*/\1/p' "$work/cpu/$(echo "$1" | cut -d/ -f1-3)/data/prompts.jsonl" |
            "$pyrite" generate "$work/cpu/$1" --temperature 0 --max-new 24 --device $device >"$work/greedy-$device" || return 1
    done
    cmp "$work/greedy-cpu" "$work/greedy-cuda" || return 1
    echo "$1: $(wc -l <"$work/greedy-cuda") lines of greedy answers, the CPU's"
    [ -s "$work/greedy-cuda" ]
}

# gaps DEVICE: in every iteration of PPO the trainer found the log-probabilities that the sampler had written down.
gaps() {
    find "$work/$1" -path '*ppo*' -name log.jsonl -exec cat {} + >"$work/ppo.jsonl"
    field logprob_gap "$work/ppo.jsonl" | awk -v device="$1" '
        $1 != 0 { off++ }
        END { printf "%s: %d iterations of PPO, %d with another log-probability than the sampler\n", device, NR, off
              exit !(NR > 0 && off == 0) }'
}

part "operations against the CPU's"
check "$tests/cuda_ops"
check "$tests/cuda_bf16"
check "$tests/cuda_attention"
check "$tests/cuda_products"
"$tests/cuda_groups" || [ $? -eq 77 ] || { echo "FAIL: cuda_groups"; failed=1; }
part "transfers, and calls that are recorded"
check "$tests/cuda_queue"
part "models against the CPU's"
check "$tests/cuda_model"
check "$tests/cuda_steps"

part "a whole run, on both, and in bf16"
for device in cpu cuda cuda-bf16; do
    time check "$pyrite" run "$recipe" --device $device --out "$work/$device" --jobs 1 >"$work/$device.log" 2>&1
done
[ -d "$work/cuda/report" ] || { tail -5 "$work/cuda.log"; failed=1; }
for step in $(cd "$work/cpu" && find . -path '*sft*/log.jsonl' -o -path '*rm*/log.jsonl' | sed 's|^\./||; s|/log.jsonl$||' | sort); do
    check curve "$step"
done

part "greedy answers against the CPU's"
for model in $(cd "$work/cpu" && find . -path '*sft/model.safetensors' -o -path '*ppo*/model.safetensors' | sed 's|^\./||; s|/model.safetensors$||' | sort); do
    check greedy "$model"
done

part "log-probabilities of rollouts against the trainer's"
check gaps cuda
check gaps cuda-bf16

part "killed three times"
DEVICE=cuda KILLS=3 check "$here/kill.sh" "$pyrite" "$recipe"

part "killed once, where weights are rounded stochastically"
DEVICE=cuda-bf16 KILLS=1 check "$here/kill.sh" "$pyrite" "$recipe" steps.sft.stochastic_rounding=true \
    steps.rm.stochastic_rounding=true steps.ppo.stochastic_rounding=true

part "products by cuBLASLt, and a run with them that is killed once"
if "$pyrite" doctor | grep -q '^  cuda-cublas *cuda-cublas$'; then
    check "$tests/cuda_cublas"
    DEVICE=cuda-cublas KILLS=1 check "$here/kill.sh" "$pyrite" "$recipe"
else
    echo "SKIP: $("$pyrite" doctor | grep '^  cuda-cublas')"
fi

if [ "${SANITIZE:-yes}" = yes ] && command -v compute-sanitizer >/dev/null; then
    part "compute-sanitizer"
    check "$here/sanitize.sh" "${BINARIES:-$tests}"
fi

[ $failed -eq 0 ] && printf '\nthe device passes\n'
exit $failed
