#!/bin/sh
# Ten kills with SIGKILL, PPO included, and the run still ends in an undisturbed run's bytes.
exec "${srcdir:-.}/tests/kill.sh" "${PYRITE:-./pyrite}" "${srcdir:-.}/tests/tiny.yaml"
