# What the tests of ranks share, to be sourced behind program.sh: mpirun, or SKIP, and words for what is equal.
# $show is the small model's program, $device where it computes.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_hwloc_base_binding_policy=none OMP_NUM_THREADS=1

command -v mpirun >/dev/null || { echo "SKIP: there is no mpirun; install openmpi-bin"; exit 77; }
mpirun -np 2 "$pyrite" run nothing.yaml >out 2>&1
if grep -q 'built without MPI' out; then
    echo "SKIP: this pyrite was built without MPI; install libopenmpi-dev and configure again"
    exit 77
fi

# alone FOLDER [RANK]: the small model's update, or that of adapters of this rank, by one process.
alone() {
    mkdir -p "$1"
    "$show" "$device" "$1" "${2:-0}" >"$1/said" || complain "$(cat "$1/said")"
}
# ranks N FOLDER [RANK ORACLE]: the same by N ranks, compared with one's.
ranks() {
    local oracle=${4:-one}
    mkdir -p "$2"
    mpirun -np "$1" "$show" "$device" "$2" "${3:-0}" "$oracle" >"$2/said" 2>&1 || complain "$1 ranks: $(cat "$2/said")"
    awk '/^distance model/ { seen++; if (!($3 <= 1e-6)) { print "FAIL: " FILENAME ": " $0; bad = 1 } }
         END { exit bad || seen != 3 }' "$2/said" || complain "$1 ranks are not one: $(cat "$2/said")"
    cmp "$oracle/responses" "$2/responses" || complain "$1 ranks draw other responses than one"
}

# near A B FIELD…: the logs' numbers agree to 1e-5.
near() {
    local a=$1 b=$2 field
    shift 2
    for field; do
        paste -d' ' <(grep -o "\"$field\":[^,}]*" "$a" | cut -d: -f2) <(grep -o "\"$field\":[^,}]*" "$b" | cut -d: -f2) |
            awk -v f="$field" '{ d = $1 - $2; if (d < 0) d = -d; s = $1 < 0 ? -$1 : $1; n++
                 if (NF != 2 || d > 1e-5 * (s > 1 ? s : 1)) { print "FAIL: " f ", row " n ": " $0; bad = 1 } }
                 END { exit bad || !n }' || complain "$a and $b differ in $field"
    done
}
# What the first iteration's log says of its samples.
first_row() { head -1 "$1" | tr , '\n' | grep -E '"(reward|gold|refused|kl|kl3|length|ended|explained_variance|repetition)"'; }

# interrupted STEP LINES COMMAND…: killed when the log of the step in the folder `resumed` has so many lines.
interrupted() {
    local step=resumed/steps/safety/1/.$1.partial lines=$2
    shift 2
    setsid "$@" >out 2>&1 &
    for _ in $(seq 3000); do
        [ "$(wc -l 2>/dev/null <"$step/log.jsonl" || echo 0)" -ge "$lines" ] && break
        sleep 0.02
    done 2>/dev/null
    kill -s KILL -- -$! 2>/dev/null || complain "$* was done before it could be killed"
    wait $! 2>/dev/null
    [ -s "$step/checkpoint" ] || complain "$* left no checkpoint: $(cat out)"
}
