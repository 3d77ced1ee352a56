#!/bin/sh
# Kills a run with SIGKILL at ten random moments and resumes it: the folder must equal an undisturbed one's, byte by byte.
# usage: kill.sh PYRITE RECIPE [KEY=VALUE]...
# environment: KILLS (10), SEED (of the moments), DEVICE (cpu), KEEP (folders stay)
set -u

pyrite=$1
recipe=$2
shift 2
kills=${KILLS:-10}
seed=${SEED:-$$}
work=$(mktemp -d)
[ -n "${KEEP:-}" ] || trap 'rm -rf "$work"' EXIT

settings="--device ${DEVICE:-cpu}"
for setting; do settings="$settings --set $setting"; done

seconds_now() {
    awk '{ print $1 }' /proc/uptime
}

# The program and its children are a process group of their own, led by the process in FOLDER.pid.
start() {
    setsid sh -c 'echo $$ >"$0"; exec "$@"' "$work/$1.pid" \
        "$pyrite" run "$recipe" $settings --out "$work/$1" >>"$work/$1.log" 2>&1
}

begin=$(seconds_now)
if ! start calm; then
    cat "$work/calm.log"
    exit 1
fi
length=$(awk -v a="$begin" -v b="$(seconds_now)" 'BEGIN { print b - a }')

# Each kill falls within a slice of the run's length, so that all of it is reached.
killed=0
for moment in $(awk -v n="$kills" -v s="$seed" -v l="$length" 'BEGIN {
        srand(s); for (i = 0; i < n; i++) print 0.02 + 1.6 * rand() * l / n }'); do
    rm -f "$work/rough.pid"
    start rough &
    sleep "$moment"
    if kill -s KILL -- "-$(cat "$work/rough.pid")" 2>/dev/null; then killed=$((killed + 1)); fi
    wait $! 2>/dev/null
done
if ! start rough; then
    cat "$work/rough.log"
    exit 1
fi

if ! diff -r -x run.db -x run.db-wal -x run.db-shm -x timing.jsonl -x lock "$work/calm" "$work/rough"; then
    echo "killed $killed times (SEED=$seed): the folders differ"
    exit 1
fi
echo "killed $killed times (SEED=$seed): $(find "$work/calm" -type f | wc -l) files, the same bytes"
