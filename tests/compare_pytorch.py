#!/usr/bin/env python3
"""Compares a training step with PyTorch's: the model, batch and arithmetic (f32) of `pyrite bench train`,
in turns on the same machine. PyTorch is tuned: huge pages for its memory and no return of freed memory,
flash attention, fused AdamW, and, with --compile, its compiler; the best of these counts.

usage: compare_pytorch.py PYRITE [--threads N] [--turns N] [--rounds N] [--cpu-time] [--compile]"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

TUNABLES = ":".join(
    [
        "glibc.malloc.hugetlb=1",
        "glibc.malloc.mmap_threshold=4294967296",
        "glibc.malloc.trim_threshold=8589934592",
        "glibc.malloc.top_pad=268435456",
    ]
)
ROWS, LENGTH, VOCAB, LAYERS, WIDTH, HEADS = 8, 128, 8192, 6, 384, 6


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pyrite", help="the program")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--turns", type=int, default=3, help="of each program")
    parser.add_argument("--rounds", type=int, default=9, help="steps in a turn")
    parser.add_argument("--cpu-time", action="store_true", help="processor seconds per thread, not wall time")
    parser.add_argument("--compile", action="store_true", help="also try torch.compile")
    return parser.parse_args()


def gpt(torch):
    """GPT-2 without dropout; its head is its embedding."""
    nn, functional = torch.nn, torch.nn.functional

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
            self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
            self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

        def forward(self, x):
            q, k, v = self.qkv(self.norm1(x)).split(WIDTH, dim=2)
            q, k, v = (y.view(*x.shape[:2], HEADS, WIDTH // HEADS).transpose(1, 2) for y in (q, k, v))
            y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.proj(y.transpose(1, 2).reshape(x.shape))
            return x + self.down(functional.gelu(self.up(self.norm2(x)), approximate="tanh"))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.positions = nn.Embedding(VOCAB, WIDTH), nn.Embedding(LENGTH, WIDTH)
            self.blocks, self.norm = nn.Sequential(*[Block() for _ in range(LAYERS)]), nn.LayerNorm(WIDTH)
            nn.init.normal_(self.tokens.weight, std=0.02)

        def forward(self, tokens, targets):
            x = self.tokens(tokens) + self.positions.weight
            logits = self.norm(self.blocks(x)) @ self.tokens.weight.T
            return functional.cross_entropy(logits.view(-1, VOCAB), targets.view(-1))

    return Model()


class PyTorch:
    def __init__(self, options, compiled):
        import torch

        torch.set_num_threads(options.threads)
        torch.manual_seed(1)
        self.name = "PyTorch " + torch.__version__ + (", compiled" if compiled else "")
        self.options = options
        self.model = gpt(torch)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4, weight_decay=0, fused=True)
        self.loss = torch.compile(self.model) if compiled else self.model
        self.batch = torch.randint(VOCAB, (2, ROWS, LENGTH))
        self.clip = torch.nn.utils.clip_grad_norm_
        for _ in range(3):
            self.step()

    def step(self):
        self.optimizer.zero_grad()
        self.loss(*self.batch).backward()
        self.clip(self.model.parameters(), 1.0)
        self.optimizer.step()

    def clock(self):
        return time.process_time() / self.options.threads if self.options.cpu_time else time.perf_counter()

    def turn(self):
        rates = []
        for _ in range(self.options.rounds):
            start = self.clock()
            self.step()
            rates.append(ROWS * LENGTH / (self.clock() - start))
        return statistics.median(rates)


class Pyrite:
    name = "pyrite"

    def __init__(self, options):
        self.command = [options.pyrite, "bench", "train", "--json", f"--threads={options.threads}"]
        self.command += [f"--rounds={options.rounds}"] + ["--cpu-time"] * options.cpu_time
        self.shares = []

    def turn(self):
        environment = {k: v for k, v in os.environ.items() if k != "GLIBC_TUNABLES"}
        run = subprocess.run(self.command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
        report = json.loads(run.stdout)
        self.shares.append(report["train"]["share"])
        return next(r["tokens_per_second"] for r in report["results"] if r["part"] == "train")


def compare(options):
    ours = Pyrite(options)
    peers = [PyTorch(options, compiled) for compiled in ([False, True] if options.compile else [False])]
    rates = {program: [] for program in [ours, *peers]}
    for _ in range(options.turns):
        for program, turns in rates.items():
            turns.append(program.turn())
    for program, turns in rates.items():
        print(f"{program.name:32} {statistics.median(turns):8.0f} tokens/s  (turns: {min(turns):.0f} to {max(turns):.0f})")
    best = max(statistics.median(rates[peer]) for peer in peers)
    print(f"{'pyrite / PyTorch':32} {statistics.median(rates[ours]) / best:8.2f}")
    print(f"{'pyrite, share of the f32 peak':32} {statistics.median(ours.shares):8.2f}")


def main():
    options = arguments()
    if os.environ.get("GLIBC_TUNABLES") != TUNABLES:  # read when a program starts
        os.environ.update(GLIBC_TUNABLES=TUNABLES, OMP_NUM_THREADS=str(options.threads))
        os.execv(sys.executable, [sys.executable, *sys.argv])
    compare(options)


if __name__ == "__main__":
    main()
