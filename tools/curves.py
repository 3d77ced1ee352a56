#!/usr/bin/env python3
"""Draws learning curves of two runs over each other, and says how far apart they end.

usage: curves.py RUN RUN [FIGURE.svg]

Each run is a folder of `pyrite run` with the same steps and several seeds. A panel for each curve: SFT's loss, and
PPO's reward, gold score and KL, of each world and reward model; thin lines are seeds, thick ones their mean. The
table on standard output has the mean over the last quarter of each curve, per run, and the difference over seeds
(paired) with the 95 % interval of Student's t."""

import json
import math
import os
import sys
from collections import defaultdict

COLOURS = ["#1b6ca8", "#d1495b"]
WIDTH, HEIGHT, PAD = 250, 170, 34
T975 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


def rows_of(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def smoothed(values, width):
    return [sum(values[max(0, i - width + 1) : i + 1]) / (i + 1 - max(0, i - width + 1)) for i in range(len(values))]


def curves_of(run):
    """{panel: {seed: [values]}}"""
    curves = defaultdict(dict)
    for folder, _, files in os.walk(os.path.join(run, "steps")):
        if "log.jsonl" not in files:
            continue
        world, seed, *step = os.path.relpath(folder, os.path.join(run, "steps")).split(os.sep)
        rows = rows_of(os.path.join(folder, "log.jsonl"))
        if step == ["sft"]:
            loss = [row["loss"] for row in rows if row.get("loss") is not None]
            curves[f"{world}: sft, loss"][seed] = smoothed(loss, 8)
        elif step[0] == "ppo":
            for key in ("reward", "gold", "kl"):
                curves[f"{world}: ppo/{step[1]}, {key}"][seed] = [row[key] for row in rows]
    return curves


def tail(values):
    part = values[-max(1, len(values) // 4) :]
    return sum(part) / len(part)


def mean(values):
    return sum(values) / len(values)


def points(values, low, high):
    span = (high - low) or 1
    return " ".join(
        f"{PAD + (WIDTH - PAD - 6) * i / max(1, len(values) - 1):.1f},"
        f"{HEIGHT - 20 - (HEIGHT - 46) * (v - low) / span:.1f}"
        for i, v in enumerate(values)
    )


def panel(title, runs, x, y):
    everything = [v for run in runs for values in run.values() for v in values]
    low, high = min(everything), max(everything)
    out = [f'<g transform="translate({x},{y})"><text x="{PAD}" y="14" font-weight="bold">{title}</text>']
    for value, at in ((low, HEIGHT - 20), (high, 26)):
        out.append(f'<line x1="{PAD}" x2="{WIDTH - 6}" y1="{at}" y2="{at}" stroke="#ddd"/>')
        out.append(f'<text x="{PAD - 4}" y="{at + 4}" text-anchor="end">{value:.2g}</text>')
    for run, colour in zip(runs, COLOURS):
        for values in run.values():
            out.append(f'<polyline points="{points(values, low, high)}" stroke="{colour}" stroke-opacity="0.3"/>')
    for run, colour in zip(runs, COLOURS):
        average = [mean(step) for step in zip(*run.values())]
        out.append(f'<polyline points="{points(average, low, high)}" stroke="{colour}" stroke-width="2"/>')
    return out + ["</g>"]


def draw(titles, runs, names, path):
    across = 4
    down = math.ceil(len(titles) / across)
    width, height = across * WIDTH + 10, down * HEIGHT + 34
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        'font-family="sans-serif" font-size="11" fill="none">',
        f'<rect width="{width}" height="{height}" fill="#fff"/><g fill="#222">',
    ]
    body = []
    for i, title in enumerate(titles):
        body += panel(title, [run[title] for run in runs], i % across * WIDTH, i // across * HEIGHT + 28)
    for i, (name, colour) in enumerate(zip(names, COLOURS)):
        out.append(f'<text x="{PAD + 140 * i}" y="18" fill="{colour}" font-weight="bold">{name}</text>')
    out += [line.replace("<text", '<text fill="#222"').replace("<polyline", '<polyline fill="none"') for line in body]
    with open(path + ".tmp", "w", encoding="utf-8") as file:
        file.write("\n".join(out + ["</g></svg>\n"]))
    os.replace(path + ".tmp", path)


def name_of(run):
    """runs/precision-cpu-bf16: cpu-bf16"""
    return os.path.basename(run.rstrip("/")).split("-", 1)[-1]


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    runs = [curves_of(run) for run in sys.argv[1:3]]
    names = [name_of(run) for run in sys.argv[1:3]]
    titles = sorted(set(runs[0]) & set(runs[1]), key=lambda title: (title.split(":")[0], "ppo" in title, title))
    if not titles:
        sys.exit(f"{sys.argv[1]} and {sys.argv[2]} share no curve: expected two runs of one recipe")
    print(f"| last quarter of the curve | {names[0]} | {names[1]} | difference over seeds |\n| --- | --- | --- | --- |")
    for title in titles:
        seeds = sorted(set(runs[0][title]) & set(runs[1][title]))
        pairs = [(tail(runs[0][title][seed]), tail(runs[1][title][seed])) for seed in seeds]
        gaps = [b - a for a, b in pairs]
        deviation = math.sqrt(sum((g - mean(gaps)) ** 2 for g in gaps) / max(1, len(gaps) - 1))
        half = T975.get(len(gaps) - 1, 1.96) * deviation / math.sqrt(len(gaps))
        first, second = mean([a for a, _ in pairs]), mean([b for _, b in pairs])
        print(f"| {title} | {first:.3f} | {second:.3f} | {mean(gaps):+.3f} ± {half:.3f} |")
    if len(sys.argv) == 4:
        draw(titles, runs, names, sys.argv[3])


main()
