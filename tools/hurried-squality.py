#!/usr/bin/env python3
"""How far the judge `bounded` agrees with people: its approval of SQuALITY's rated responses against their correctness.
usage: tools/hurried-squality.py PYRITE FOLDER    FOLDER holds squality-v1.3.*.jsonl.gz and human-eval.jsonl.gz
Prints Spearman's correlation with the mean rating for several budgets."""
import collections
import glob
import gzip
import json
import os
import subprocess
import sys
import tempfile

BUDGETS = {"200 words, 3 claims": (200, 3), "1000 words, 3 claims": (1000, 3), "all words, 20 claims": (10**6, 20)}


def lines(path):
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def ranks(values):
    order, out, first = sorted(range(len(values)), key=values.__getitem__), [0.0] * len(values), 0
    while first < len(order):
        last = first
        while last + 1 < len(order) and values[order[last + 1]] == values[order[first]]:
            last += 1
        for i in order[first : last + 1]:
            out[i] = (first + last) / 2
        first = last + 1
    return out


def spearman(a, b):
    a, b = ranks(a), ranks(b)
    x, y = sum(a) / len(a), sum(b) / len(b)
    covariance = sum((p - x) * (q - y) for p, q in zip(a, b))
    return covariance / (sum((p - x) ** 2 for p in a) * sum((q - y) ** 2 for q in b)) ** 0.5


def write(path, rows):
    with open(path, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row) + "\n")


def main():
    if len(sys.argv) != 3 or not os.path.exists(os.path.join(sys.argv[2], "human-eval.jsonl.gz")):
        sys.exit(__doc__)
    pyrite, folder = os.path.abspath(sys.argv[1]), sys.argv[2]
    stories, answers, questions, ratings = {}, collections.defaultdict(list), [], {}
    for path in glob.glob(os.path.join(folder, "squality-v1.3.*.jsonl.gz")):
        for row in lines(path):
            stories[row["metadata"]["passage_id"]] = row["document"]
    for row in lines(os.path.join(folder, "human-eval.jsonl.gz")):
        for number, question in row["questions"].items():
            name = "%s/%s" % (row["passage-id"], number)
            questions.append({"id": name, "prompt": name, "story": stories[row["passage-id"]]})
            for system in ("bart", "bart-dpr", "human"):
                answers[system].append({"id": name, "response": question[system]["response"]})
                ratings["%s/%s" % (system, name)] = question[system]["overall"]["correctness-rating"]
    with tempfile.TemporaryDirectory() as place:
        command = [pyrite, "score", "--suite", "judged", "--format", "json", "--out", os.path.join(place, "out")]
        write(os.path.join(place, "questions.jsonl"), questions)
        command += ["--questions", os.path.join(place, "questions.jsonl")]
        for system, rows in answers.items():
            write(os.path.join(place, system + ".jsonl"), rows)
            command += ["--outputs", "%s=%s" % (system, os.path.join(place, system + ".jsonl"))]
        for name, (budget, claims) in BUDGETS.items():
            command += ["--judge", 'bounded,name="%s",budget=%d,claims=%d' % (name, budget, claims)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with open(os.path.join(place, "out/steps/evaluate/verdicts.jsonl"), encoding="utf-8") as file:
            verdicts = [json.loads(line) for line in file]
    for name in BUDGETS:
        own = {v["transcript"]: v["score"] for v in verdicts if v["judge"] == name and v["what"] == "approval_probability"}
        print("%-22s n %d  rho %.2f" % (name, len(own), spearman([own[k] for k in own], [ratings[k] for k in own])))


main()
