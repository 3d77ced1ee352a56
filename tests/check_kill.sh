#!/bin/sh
# Kills with SIGKILL, PPO included, in both precisions, and the run still ends in an undisturbed run's bytes.
kill="${srcdir:-.}/tests/kill.sh" recipe="${srcdir:-.}/tests/tiny.yaml"
KILLS=8 "$kill" "${PYRITE:-./pyrite}" "$recipe" && KILLS=4 DEVICE=cpu-bf16 "$kill" "${PYRITE:-./pyrite}" "$recipe"
