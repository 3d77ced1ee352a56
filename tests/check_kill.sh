#!/bin/sh
# Kills with SIGKILL, PPO included, in single precision and in bf16 with stochastic rounding, and the run still ends in
# an undisturbed run's bytes.
kill="${srcdir:-.}/tests/kill.sh" recipe="${srcdir:-.}/tests/tiny.yaml"
KILLS=8 "$kill" "${PYRITE:-./pyrite}" "$recipe" &&
    KILLS=4 DEVICE=cpu-bf16 "$kill" "${PYRITE:-./pyrite}" "$recipe" steps.sft.stochastic_rounding=true \
        steps.rm.stochastic_rounding=true steps.ppo.stochastic_rounding=true
