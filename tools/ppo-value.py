#!/usr/bin/env python3
"""PPO with a value model of its own against a value head on the policy's trunk: the same steps, worlds and seeds.
usage: tools/ppo-value.py PYRITE FOLDER [--threads N]    FOLDER takes the run; an interrupted one goes on
Prints means over the seeds, with the least and the largest, of the last five iterations."""
import argparse
import json
import os
import statistics
import subprocess

WORLDS, SEEDS, VALUES, LAST = ["safety", "summary", "debate"], [1, 2, 3], ["separate", "shared"], 5
FIELDS = ["reward", "gold", "kl", "explained_variance", "value_loss"]
RECIPE = """
name: ppo-value
matrix: {world: [%s], seed: %s}
steps:
  data: {use: world, world: $world, demonstrations: 2000, pairs: 2000, prompts: 1000}
  sft: {use: sft, base: %s/$world, data: [data], epochs: 1, lr: 5e-4}
  rm: {use: reward, reward: scalar, base: sft, data: [data], max_new: 48}
  ppo:
    use: ppo
    matrix: {value: [%s]}
    value: $value
    policy: sft
    reward: rm
    data: [data]
    iterations: 20
    episodes: 80
    max_new: 48
    missing_eos: penalty
"""


def run(arguments, root):
    recipe = os.path.join(arguments.folder, "recipe.yaml")
    os.makedirs(arguments.folder, exist_ok=True)
    with open(recipe, "w", encoding="utf-8") as file:
        file.write(RECIPE % (", ".join(WORLDS), SEEDS, os.path.join(root, "bases"), ", ".join(VALUES)))
    command = [arguments.pyrite, "run", recipe, "--out", os.path.join(arguments.folder, "run")]
    subprocess.run(command + ["--threads", str(arguments.threads)], check=True)


def log(folder, world, seed, value):
    path = os.path.join(folder, "run", "steps", world, str(seed), "ppo", value, "log.jsonl")
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pyrite")
    parser.add_argument("folder")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    run(arguments, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    print("| world | value | " + " | ".join(FIELDS) + " |")
    print("|---" * (2 + len(FIELDS)) + "|")
    for world in WORLDS:
        for value in VALUES:
            rows = [log(arguments.folder, world, seed, value)[-LAST:] for seed in SEEDS]
            cells = []
            for field in FIELDS:
                seeds = [statistics.mean(row[field] for row in of) for of in rows]
                cells.append(f"{statistics.mean(seeds):.2f} ({min(seeds):.2f} – {max(seeds):.2f})")
            print(f"| {world} | {value} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
