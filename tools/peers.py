#!/usr/bin/env python3
"""The programs that `pyrite bench compare` and `bench operations` race against: PyTorch 2.x and llama.cpp (through
llama-cpp-python), each in a process that stays warm and does the work it is asked for, a line of JSON in and a line of
JSON out.

usage: peers.py pytorch|pytorch-as-installed|pytorch-cuda|llama.cpp [--threads N] [--cpu-time]

Needs numpy and torch, or numpy, gguf and llama-cpp-python (built with -DGGML_NATIVE=ON).

"pytorch" is tuned: huge pages for its memory and no return of freed memory, flash attention, fused AdamW, bf16 by
autocast, and MKL, whose AVX-512 kernels are for Intel's processors only, told that this is one (needs a C compiler).
"pytorch-as-installed" has none of this, and AdamW as it is by default. Modes of PyTorch are f32 and bf16, for training
also "f32 compiled" and "bf16 compiled" (torch.compile); of llama.cpp the formats F32, F16, BF16 and Q8_0.

"pytorch-cuda" is PyTorch on an NVIDIA device, as one writes it who knows it well: flash attention, fused AdamW, no TF32,
micro-batches that the memory holds, a vocabulary that is padded to a multiple of 64 for the products' sake, and rollouts
as two CUDA graphs, one that reads the prompts and one that draws all other tokens, each over as much of the cache as is
filled. "compiled" also has torch.compile for what lies between attention and attention, for the draw, and for PPO's
passes. Clocks are read when the device has done what was asked for.

Lines: {"do": "hello"}; {"do": "open", "key": K, "work": "train|generate|ppo|operation", "mode": M, "order": {...}};
{"do": "turn", "key": K, "repeats": N}; {"do": "close", "key": K}. Answers hold what was asked for, or "error"; while
it compiles, lines with "progress" come first."""

import argparse
import ctypes
import gc
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback

TUNABLES = ":".join(
    [
        "glibc.malloc.hugetlb=1",
        "glibc.malloc.mmap_threshold=4294967296",
        "glibc.malloc.trim_threshold=8589934592",
        "glibc.malloc.top_pad=268435456",
    ]
)
INTEL = "int mkl_serv_intel_cpu_true(void) { return 1; }\n"


def tune(threads):
    """Starts this program again in the environment that must be there when it starts."""
    folder = tempfile.mkdtemp()
    environment = dict(os.environ, GLIBC_TUNABLES=TUNABLES, OMP_NUM_THREADS=str(threads), PEERS_TUNED=folder)
    library = os.path.join(folder, "intel.so")
    try:
        command = ["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", library]
        subprocess.run(command, input=INTEL, text=True, check=True, stderr=subprocess.DEVNULL)
        environment["LD_PRELOAD"] = library
    except (OSError, subprocess.CalledProcessError):
        pass
    os.execve(sys.executable, [sys.executable, *sys.argv], environment)


def noise(first, count, vocab):
    """The tokens of the race, the same in every program (models/work.c)."""
    import numpy

    x = (numpy.arange(first, first + count, dtype=numpy.uint64) * 2654435761) & 0xFFFFFFFF
    x ^= x >> 15
    x = (x * 2246822519) & 0xFFFFFFFF
    x ^= x >> 13
    return (x % vocab).astype(numpy.int64)


def read_weights(folder):
    """The config and the tensors, float32 and in PyTorch's orientation, of a folder in Hugging Face's GPT-2 form."""
    import numpy

    with open(os.path.join(folder, "config.json")) as file:
        config = json.load(file)
    with open(os.path.join(folder, "model.safetensors"), "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        start = file.tell()
        tensors = {}
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            file.seek(start + entry["data_offsets"][0])
            count = (entry["data_offsets"][1] - entry["data_offsets"][0]) // 4
            tensor = numpy.fromfile(file, numpy.float32, count).reshape(entry["shape"])
            is_conv = name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight"))
            tensors[name.removeprefix("transformer.")] = numpy.ascontiguousarray(tensor.T) if is_conv else tensor
    return config, tensors


def peak_memory():
    with open("/proc/self/status") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith("VmHWM"))


class Clock:
    def __init__(self, options):
        self.share = 1 / options.threads if options.cpu_time else None

    def now(self):
        return time.process_time() * self.share if self.share else time.perf_counter()


class DeviceClock:
    def __init__(self, torch):
        self.wait = torch.cuda.synchronize

    def now(self):
        self.wait()
        return time.perf_counter()


# PyTorch


def gpt2(peer, folder):
    """GPT-2 without dropout; its head is its embedding; a value or reward head if asked for."""
    torch = peer.torch
    nn, functional = torch.nn, torch.nn.functional
    config, tensors = peer.weights(folder)
    width, heads, vocab = config["n_embd"], config["n_head"], config["vocab_size"]
    padded = -(-vocab // peer.multiple) * peer.multiple

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.c_fc, self.c_down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def before(self, x):
            return self.c_attn(self.ln_1(x))

        def after(self, x, y):
            x = x + self.c_proj(y)
            return x + self.c_down(functional.gelu(self.c_fc(self.ln_2(x)), approximate="tanh"))

        def forward(self, x, cache, start):
            q, k, v = self.before(x).split(width, dim=2)
            q, k, v = (y.view(*x.shape[:2], heads, width // heads).transpose(1, 2) for y in (q, k, v))
            if cache is not None:
                end = start + x.shape[1]
                cache[0][:, :, start:end], cache[1][:, :, start:end] = k, v
                k, v = cache[0][:, :, :end], cache[1][:, :, :end]
            y = functional.scaled_dot_product_attention(q, k, v, is_causal=x.shape[1] > 1)
            return self.after(x, y.transpose(1, 2).reshape(x.shape))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.vocab = vocab
            self.wte, self.wpe = nn.Embedding(padded, width), nn.Embedding(config["n_positions"], width)
            self.h = nn.ModuleList(Block() for _ in range(config["n_layer"]))
            self.ln_f, self.score = nn.LayerNorm(width), nn.Linear(width, 1, bias=False)
            nn.init.normal_(self.score.weight, std=width**-0.5)

        def hidden(self, tokens, caches=None, start=0):
            x = self.wte(tokens) + self.wpe.weight[start : start + tokens.shape[1]]
            for i, block in enumerate(self.h):
                x = block(x, caches and caches[i], start)
            return self.ln_f(x)

        def logits(self, x):
            return (x @ self.wte.weight.T)[..., :vocab]

        def forward(self, tokens, targets):
            return functional.cross_entropy(self.logits(self.hidden(tokens)).flatten(0, 1), targets.flatten())

        def caches(self, rows, length):
            shape = (2, rows, heads, length, width // heads)
            return [torch.zeros(shape, dtype=self.wte.weight.dtype) for _ in self.h]

    model = Model()
    names = {"attn.c_attn": "c_attn", "attn.c_proj": "c_proj", "mlp.c_fc": "c_fc", "mlp.c_proj": "c_down"}
    state = {}
    for name, tensor in tensors.items():
        for theirs, ours in names.items():
            name = name.replace(theirs, ours)
        state[name] = torch.from_numpy(tensor.copy())
    state["wte.weight"] = functional.pad(state["wte.weight"], (0, 0, 0, padded - vocab))
    model.load_state_dict(state, strict=False)
    return model


class Train:
    """Steps of forward, backward, clipping and AdamW on random tokens."""

    def __init__(self, peer, mode, order):
        torch = peer.torch
        rows, length = order["rows"], order["length"]
        self.peer, self.half, self.tokens = peer, "bf16" in mode, rows * length
        self.model = gpt2(peer, order["weights"])
        self.model.score.requires_grad_(False)
        batch = [peer.tokens(first, rows, length, self.model.vocab) for first in (0, 1 << 24)]
        self.parts = list(zip(*(x.split(max(1, peer.micro // length)) for x in batch)))
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        how = {"fused": True} if peer.tuned else {}
        self.optimizer = torch.optim.AdamW(self.parameters, lr=1e-4, weight_decay=0, **how)
        self.run = torch.compile(self.model) if "compiled" in mode else self.model
        self.loss = float(self.step())
        self.step()

    def step(self):
        torch = self.peer.torch
        self.optimizer.zero_grad()
        whole = 0
        for part in self.parts:
            with self.peer.autocast(self.half):
                loss = self.run(*part) * (part[0].numel() / self.tokens)
            loss.backward()
            whole += loss.detach()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        return whole

    def opened(self):
        return {"loss": self.loss}

    def turn(self, repeats):
        start = self.peer.clock.now()
        for _ in range(repeats):
            self.step()
        return {"seconds": self.peer.clock.now() - start, "tokens": repeats * self.tokens}


class Rollout:
    """Tokens drawn from the whole softmax and their log-probabilities, with a preallocated cache."""

    def __init__(self, peer, model, prompts, fresh, compiled=False):
        torch = peer.torch
        self.peer, self.model, self.prompts = peer, model, prompts
        self.rows, self.length = prompts.shape
        self.caches = model.caches(self.rows, self.length + fresh)
        self.tokens = torch.zeros((self.rows, fresh), dtype=torch.long)
        self.logprobs = torch.zeros((self.rows, fresh))
        if compiled:
            self.choose = torch.compile(self.choose, dynamic=False)
            for block in model.h:
                block.before = torch.compile(block.before, dynamic=False)
                block.after = torch.compile(block.after, dynamic=False)
        self.read, self.decode = peer.recorded(self.read), peer.recorded(self.decode)

    def choose(self, x):
        logprob = self.model.logits(x).float().log_softmax(-1)
        token = self.peer.draw(logprob.exp())
        return token, logprob.gather(1, token)

    def step(self, i, x):
        token, logprob = self.choose(x)
        self.tokens[:, i : i + 1], self.logprobs[:, i : i + 1] = token, logprob

    def read(self):
        self.step(0, self.model.hidden(self.prompts, self.caches, 0)[:, -1])

    def decode(self):
        for i in range(1, self.tokens.shape[1]):
            last = self.tokens[:, i - 1 : i]
            self.step(i, self.model.hidden(last, self.caches, self.length + i - 1)[:, 0])


class Generate:
    def __init__(self, peer, mode, order):
        torch = peer.torch
        self.peer, self.fresh, self.rows = peer, order["fresh"], order["rows"]
        self.model = gpt2(peer, order["weights"]).to(torch.bfloat16 if "bf16" in mode else torch.float32)
        prompts = peer.tokens(0, self.rows, order["prompt"], self.model.vocab)
        with torch.no_grad():
            self.likeliest = int(self.model.logits(self.model.hidden(prompts[:1])[:, -1]).argmax())
            if peer.warming:
                warm = Rollout(peer, self.model, prompts, peer.warming)
                warm.read()
                warm.decode()
            self.rollout = Rollout(peer, self.model, prompts, self.fresh, "compiled" in mode)

    def opened(self):
        return {"likeliest": self.likeliest}

    def turn(self, repeats):
        clock, decode = self.peer.clock, 0
        start = clock.now()
        for _ in range(repeats):
            with self.peer.torch.no_grad():
                self.rollout.read()
                first = clock.now()
                self.rollout.decode()
            decode += clock.now() - first
        answer = {"seconds": clock.now() - start, "tokens": repeats * self.rows * self.fresh}
        return answer | {"decode_seconds": decode, "decode_tokens": repeats * self.rows * (self.fresh - 1)}


class PPO:
    """Plain PPO: one trunk with a value head, a frozen reference and a frozen reward model of the same size. Rollout
    with a cache; one pass each of policy with values, reference and reward; generalised advantages; epochs of
    minibatches with clipped losses and gradients, the head on response positions only."""

    GAMMA, LAMBDA, CLIP, KL, VALUE = 1.0, 0.95, 0.2, 0.05, 0.1

    def __init__(self, peer, mode, order):
        torch = peer.torch
        self.peer, self.half, self.order = peer, "bf16" in mode, order
        self.policy, self.reference, self.reward = (gpt2(peer, order["weights"]) for _ in range(3))
        for model in (self.reference, self.reward):
            model.requires_grad_(False).to(torch.bfloat16 if self.half else torch.float32)
        self.prompts = peer.tokens(0, order["rows"], order["prompt"], self.policy.vocab)
        self.optimizer = torch.optim.AdamW(self.policy.parameters(), lr=1e-6, weight_decay=0, fused=True)
        self.decoder = gpt2(peer, order["weights"]).to(torch.bfloat16) if self.half else self.policy
        self.parts = {}
        if "compiled" in mode:
            self.loss, self.passes = torch.compile(self.loss), torch.compile(self.passes)
        with torch.no_grad():
            self.sampler = Rollout(peer, self.decoder, self.prompts, order["fresh"], "compiled" in mode)
        self.iteration(epochs=1)

    def opened(self):
        return {}

    def logprobs(self, model, hidden, responses):
        """Of the responses' tokens, the head on their positions alone."""
        logprob = model.logits(hidden).float().log_softmax(-1)
        return logprob.gather(2, responses[:, :, None])[:, :, 0]

    def rollout(self):
        if self.half:
            for to, of in zip(self.decoder.parameters(), self.policy.parameters()):
                to.data.copy_(of.data)
        self.sampler.read()
        self.sampler.decode()
        return self.sampler.tokens.clone()

    def passes(self, tokens, responses):
        """Log-probabilities, values, the reference's log-probabilities and rewards."""
        prompt, fresh = self.order["prompt"], self.order["fresh"]
        hidden = self.policy.hidden(tokens)[:, prompt - 1 : prompt + fresh - 1]
        old, values = self.logprobs(self.policy, hidden, responses), self.policy.score(hidden)[:, :, 0].float()
        hidden = self.reference.hidden(tokens)[:, prompt - 1 : prompt + fresh - 1]
        reference = self.logprobs(self.reference, hidden, responses)
        return old, values, reference, self.reward.score(self.reward.hidden(tokens)[:, -1])[:, 0].float()

    def score(self, rows, responses):
        """In minibatches, so that no array is larger than in the updates."""
        size = self.order["minibatch"]
        parts = [self.passes(*part) for part in zip(rows.split(size), responses.split(size))]
        return [self.peer.torch.cat(x) for x in zip(*parts)]

    def advantages(self, values, rewards):
        torch = self.peer.torch
        advantage, last, after = torch.zeros_like(values), 0, 0
        for t in reversed(range(values.shape[1])):
            delta = rewards[:, t] + self.GAMMA * after - values[:, t]
            last = delta + self.GAMMA * self.LAMBDA * last
            advantage[:, t], after = last, values[:, t]
        returns = advantage + values
        return (advantage - advantage.mean()) / (advantage.std() + 1e-8), returns

    def loss(self, rows, responses, old, values, advantage, returns):
        torch = self.peer.torch
        prompt, fresh = self.order["prompt"], self.order["fresh"]
        with self.peer.autocast(self.half):
            hidden = self.policy.hidden(rows)[:, prompt - 1 : prompt + fresh - 1]
            new = self.logprobs(self.policy, hidden, responses)
            value = self.policy.score(hidden)[:, :, 0].float()
        ratio = (new - old).exp()
        clipped = ratio.clamp(1 - self.CLIP, 1 + self.CLIP)
        loss = torch.maximum(-advantage * ratio, -advantage * clipped).mean()
        near = values + (value - values).clamp(-self.CLIP, self.CLIP)
        return loss + self.VALUE * 0.5 * torch.maximum((value - returns) ** 2, (near - returns) ** 2).mean()

    def update(self, *arrays):
        torch = self.peer.torch
        self.optimizer.zero_grad()
        self.loss(*arrays).backward()
        torch.nn.utils.clip_grad_norm_(self.policy.parameters(), 1.0)
        self.optimizer.step()

    def iteration(self, epochs):
        torch, clock = self.peer.torch, self.peer.clock
        began = clock.now()
        with torch.no_grad():
            responses = self.rollout()
            sampled = clock.now()
            rows = torch.cat([self.prompts, responses], 1)
            with self.peer.autocast(self.half):
                old, values, reference, scores = self.score(rows, responses)
            rewards = -self.KL * (old - reference)
            rewards[:, -1] += scores
            advantage, returns = self.advantages(values, rewards)
        scored = clock.now()
        for _ in range(epochs):
            for part in torch.randperm(len(rows)).split(self.order["minibatch"]):
                arrays = (rows, responses, old, values, advantage, returns)
                self.update(*(x[part] for x in arrays))
        self.parts = {"rollout": sampled - began, "scoring": scored - sampled, "update": clock.now() - scored}

    def turn(self, repeats):
        start = self.peer.clock.now()
        for _ in range(repeats):
            self.iteration(self.order["epochs"])
        tokens = repeats * self.order["rows"] * (self.order["prompt"] + self.order["fresh"])
        return {"seconds": self.peer.clock.now() - start, "tokens": tokens, "parts": self.parts}


class Operation:
    """One operation of `pyrite bench operations`, by the call or the few that one writes for it: of logits, embeddings
    and the optimizer in f32, of norms and attention in the mode's precision. Of a gradient, the backward pass alone."""

    def __init__(self, peer, mode, order):
        torch = peer.torch
        self.peer, self.order = peer, order
        self.narrow = torch.bfloat16 if "bf16" in mode else torch.float32
        calls = {
            "add": self.add,
            "embed": self.embed,
            "gather": self.gather,
            "layernorm": self.layernorm,
            "layernorm_backward": lambda: self.backward(*self.layernorm()),
            "rmsnorm": self.rmsnorm,
            "rmsnorm_backward": lambda: self.backward(*self.rmsnorm()),
            "attention": self.attention,
            "attention_backward": lambda: self.backward(*self.attention()),
            "logprob": self.logprob,
            "logprob with entropy": self.entropy,
            "logprob_backward": lambda: self.backward(*self.logprob()),
            "sample": self.sample,
            "truncate to top_p": self.truncate,
            "adamw": self.adamw,
        }
        self.call = calls[order["name"]]()
        if isinstance(self.call, tuple):  # with what it learns
            self.call = self.call[0]
        self.keeps = torch.enable_grad if order["name"].endswith("_backward") else torch.no_grad
        self.turn(1)

    def opened(self):
        return {}

    def turn(self, repeats):
        with self.keeps():
            start = self.peer.clock.now()
            for _ in range(repeats):
                self.call()
            return {"seconds": self.peer.clock.now() - start}

    def some(self, *shape, kind=None):
        return self.peer.torch.rand(shape, dtype=kind or self.peer.torch.float32, device=self.peer.device)

    def indices(self, count, limit):
        return self.peer.torch.randint(limit, (count,), device=self.peer.device)

    def learned(self, *shape, kind=None):
        return self.some(*shape, kind=kind).requires_grad_()

    def backward(self, call, learned):
        torch = self.peer.torch
        out = call()
        slope = torch.rand_like(out)
        return lambda: torch.autograd.grad(out, learned, slope, retain_graph=True)

    def add(self):
        a, b = self.some(self.order["elements"]), self.some(self.order["elements"])
        return lambda: a.add_(b)

    def embed(self):
        functional, order = self.peer.torch.nn.functional, self.order
        table, positions = self.some(order["vocab"], order["width"]), self.some(order["context"], order["width"])
        token, position = self.indices(order["tokens"], order["vocab"]), self.indices(order["tokens"], order["context"])
        return lambda: functional.embedding(token, table) + functional.embedding(position, positions)

    def gather(self):
        table = self.some(self.order["vocab"], self.order["width"])
        token = self.indices(self.order["tokens"], self.order["vocab"])
        return lambda: table.index_select(0, token)

    def layernorm(self):
        functional, width = self.peer.torch.nn.functional, self.order["width"]
        x = self.learned(self.order["tokens"], width, kind=self.narrow)
        weight, bias = (self.learned(width, kind=self.narrow) for _ in range(2))
        return lambda: functional.layer_norm(x, (width,), weight, bias, 1e-5), (x, weight, bias)

    def rmsnorm(self):
        functional, width = self.peer.torch.nn.functional, self.order["width"]
        x = self.learned(self.order["tokens"], width, kind=self.narrow)
        weight = self.learned(width, kind=self.narrow)
        return lambda: functional.rms_norm(x, (width,), weight, 1e-5), (x, weight)

    def attention(self):
        """PyTorch's choice of kernels, which in bf16 is flash attention."""
        attend, order = self.peer.torch.nn.functional.scaled_dot_product_attention, self.order
        length, channels = order["length"], order["channels"]
        shape = (order["tokens"] // length, length, order["width"] // channels, channels)
        learned = [self.some(*shape, kind=self.narrow).transpose(1, 2).requires_grad_() for _ in range(3)]
        return lambda: attend(*learned, is_causal=True), learned

    def logits(self):
        return self.learned(self.order["chunk"], self.order["vocab"])

    def logprob(self):
        functional = self.peer.torch.nn.functional
        logits, target = self.logits(), self.indices(self.order["chunk"], self.order["vocab"])
        return lambda: -functional.cross_entropy(logits, target, reduction="none"), (logits,)

    def entropy(self):
        logits, target = self.logits(), self.indices(self.order["chunk"], self.order["vocab"])[:, None]

        def call():
            logprob = logits.log_softmax(-1)
            return logprob.gather(1, target), -(logprob.exp() * logprob).sum(-1)

        return call

    def sample(self):
        logits = self.logits()

        def call():
            logprob = logits.log_softmax(-1)
            token = self.peer.torch.multinomial(logprob.exp(), 1)
            return token, logprob.gather(1, token)

        return call

    def truncate(self):
        logits = self.logits()

        def call():
            best, order = logits.sort(descending=True)
            weight = best.softmax(-1)
            left_out = weight.cumsum(-1) - weight >= self.order["top_p"]
            return logits.scatter(1, order, best.masked_fill(left_out, float("-inf")))

        return call

    def adamw(self):
        parameter = self.learned(self.order["elements"] // 2)
        parameter.grad = self.some(self.order["elements"] // 2)
        return self.peer.torch.optim.AdamW([parameter], lr=1e-9, weight_decay=0, fused=True).step


class PyTorch:
    works = {"train": Train, "generate": Generate, "ppo": PPO, "operation": Operation}
    device, multiple = "cpu", 1  # multiple: of rows of the embedding
    micro = 1 << 30  # tokens of a micro-batch at most
    warming = 4  # tokens of a rollout before those that are timed

    def __init__(self, options):
        import torch

        self.torch, self.clock, self.tuned = torch, Clock(options), options.peer == "pytorch"
        torch.set_num_threads(options.threads)
        torch.manual_seed(1)
        fixed = os.environ.pop("LD_PRELOAD", None) is not None  # it is loaded; children need it not
        self.about = {
            "name": "PyTorch " + torch.__version__.split("+")[0],
            "setting": f"tuned{'' if fixed else ' (no C compiler: MKL as it is)'}" if self.tuned else "as installed",
        }

    def open(self, work, mode, order):
        return self.works[work](self, mode, order)

    def tokens(self, first, rows, length, vocab):
        return self.torch.from_numpy(noise(first, rows * length, vocab)).view(rows, length).to(self.device)

    def autocast(self, half):
        return self.torch.autocast(self.device, self.torch.bfloat16, enabled=half)

    def weights(self, folder):
        return read_weights(folder)

    def tidy(self):
        """What closed work held is free for other programs."""

    def draw(self, probabilities):
        return self.torch.multinomial(probabilities, 1)

    def recorded(self, calls):
        """What does the calls, or the same again, at once where the device can."""
        return calls


class PyTorchCuda(PyTorch):
    device, multiple = "cuda", 64
    micro = 16384
    warming = 0  # recording runs it once

    def __init__(self, options):
        import torch

        if not torch.cuda.is_available():
            raise ImportError("this machine has no CUDA device that PyTorch can use")
        self.torch, self.clock, self.tuned, self.known = torch, DeviceClock(torch), True, {}
        torch.set_default_device(self.device)
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.manual_seed(1)
        name = torch.cuda.get_device_name()
        self.about = {
            "name": "PyTorch " + torch.__version__.split("+")[0],
            "setting": f"{name}, CUDA {torch.version.cuda}",
            "device": name,
        }

    def weights(self, folder):
        if folder not in self.known:
            self.known[folder] = read_weights(folder)
        return self.known[folder]

    def tidy(self):
        if "torch._dynamo" in sys.modules:
            self.torch.compiler.reset()
        gc.collect()
        self.torch.cuda.empty_cache()

    def draw(self, probabilities):
        """As multinomial() draws, which waits for the device."""
        return (probabilities / self.torch.empty_like(probabilities).exponential_(1)).argmax(-1, keepdim=True)

    def recorded(self, calls):
        cuda = self.torch.cuda
        stream = cuda.Stream()
        stream.wait_stream(cuda.current_stream())
        with cuda.stream(stream):
            calls()
        cuda.current_stream().wait_stream(stream)
        graph = cuda.CUDAGraph()
        with cuda.graph(graph):
            calls()
        return graph.replay


# llama.cpp


def write_gguf(folder, kind):
    """The folder's model as FOLDER/KIND.gguf, if it is not there: GPT-2's from safetensors; kind: F32, F16, BF16, Q8_0
    (of the matrices; the rest is F32)."""
    import gguf

    path = os.path.join(folder, kind + ".gguf")
    if os.path.exists(path):
        return path
    config, tensors = read_weights(folder)
    writer = gguf.GGUFWriter(path + ".part", "gpt2")
    writer.add_name("race")
    writer.add_context_length(config["n_positions"])
    writer.add_embedding_length(config["n_embd"])
    writer.add_feed_forward_length(4 * config["n_embd"])
    writer.add_block_count(config["n_layer"])
    writer.add_head_count(config["n_head"])
    writer.add_layer_norm_eps(config["layer_norm_epsilon"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("no_vocab")
    names = {
        "wte": "token_embd",
        "wpe": "position_embd",
        "ln_f": "output_norm",
        "ln_1": "attn_norm",
        "attn.c_attn": "attn_qkv",
        "attn.c_proj": "attn_output",
        "ln_2": "ffn_norm",
        "mlp.c_fc": "ffn_up",
        "mlp.c_proj": "ffn_down",
    }
    matrix = gguf.GGMLQuantizationType[kind]
    for name, tensor in [*tensors.items(), ("output.weight", tensors["wte.weight"])]:
        name = name.replace("h.", "blk.", 1) if name.startswith("h.") else name
        for theirs, ours in names.items():
            name = name.replace(theirs + ".", ours + ".")
        to = matrix if tensor.ndim == 2 and not name.startswith("position") else gguf.GGMLQuantizationType.F32
        writer.add_tensor(name, gguf.quantize(tensor, to), raw_dtype=to)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.rename(path + ".part", path)
    return path


class LlamaGenerate:
    """What llama-batched-bench does: a pass over all prompts, then a token for every sequence at a time, logits for
    each of them, no sampling."""

    def __init__(self, peer, mode, order):
        llama = peer.llama
        self.peer, self.order, self.rows = peer, order, order["rows"]
        parameters = llama.llama_model_default_params()
        self.model = llama.llama_load_model_from_file(write_gguf(order["weights"], mode).encode(), parameters)
        if not self.model:
            raise RuntimeError(f"llama.cpp cannot load {order['weights']}/{mode}.gguf")
        how = llama.llama_context_default_params()
        how.n_ctx = self.rows * (order["prompt"] + order["fresh"])
        how.n_seq_max = self.rows
        how.n_threads = how.n_threads_batch = peer.threads
        self.context = llama.llama_new_context_with_model(self.model, how)
        if not self.context:
            raise RuntimeError("llama.cpp cannot make a context")
        self.vocab = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(self.model))
        self.batch_size = llama.llama_n_batch(self.context)
        self.batch = llama.llama_batch_init(max(self.batch_size, self.rows), 0, 1)
        self.prompts = noise(0, self.rows * order["prompt"], self.vocab)
        self.likeliest = None
        self.once(4)

    def opened(self):
        return {"likeliest": self.likeliest}

    def put(self, token, position, row, wanted):
        i = self.batch.n_tokens
        self.batch.token[i], self.batch.pos[i] = int(token), position
        self.batch.n_seq_id[i], self.batch.seq_id[i][0] = 1, row
        self.batch.logits[i] = wanted
        self.batch.n_tokens = i + 1

    def run(self):
        if self.peer.llama.llama_decode(self.context, self.batch):
            raise RuntimeError("llama_decode failed")
        self.batch.n_tokens = 0

    def once(self, fresh):
        llama, length = self.peer.llama, self.order["prompt"]
        llama.llama_memory_clear(llama.llama_get_memory(self.context), True)
        self.batch.n_tokens = 0
        for row in range(self.rows):
            for t in range(length):
                self.put(self.prompts[row * length + t], t, row, t + 1 == length)
                if self.batch.n_tokens == self.batch_size:
                    self.run()
            if row == 0 and self.likeliest is None:
                self.run()
                logits = llama.llama_get_logits_ith(self.context, -1)
                self.likeliest = max(range(self.vocab), key=lambda i: logits[i])
        if self.batch.n_tokens:
            self.run()
        llama.llama_synchronize(self.context)
        prompted = self.peer.clock.now()
        for i in range(fresh):
            for row in range(self.rows):
                self.put((row + i) % self.vocab, length + i, row, True)
            self.run()
        llama.llama_synchronize(self.context)
        return prompted

    def turn(self, repeats):
        clock, decode, fresh = self.peer.clock, 0, self.order["fresh"]
        start = clock.now()
        for _ in range(repeats):
            prompted = self.once(fresh)
            decode += clock.now() - prompted
        seconds = clock.now() - start
        answer = {"seconds": seconds, "tokens": repeats * self.rows * fresh}
        answer |= {"prompt_seconds": seconds - decode, "prompt_tokens": repeats * self.rows * self.order["prompt"]}
        return answer | {"decode_seconds": decode, "decode_tokens": repeats * self.rows * fresh}

    def close(self):
        self.peer.llama.llama_free(self.context)
        self.peer.llama.llama_free_model(self.model)


class Llama:
    def tidy(self):
        """Work frees what it has when it is closed."""

    def __init__(self, options):
        import gguf
        import llama_cpp

        self.llama, self.clock, self.threads = llama_cpp, Clock(options), options.threads
        quiet = llama_cpp.llama_log_callback(lambda level, text, data: None)
        self.keep = quiet
        llama_cpp.llama_log_set(quiet, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        features = llama_cpp.llama_print_system_info().decode()
        native = [word for word in ("AVX512_BF16", "AVX512", "AVX2") if f"{word} = 1" in features]
        self.about = {
            "name": f"llama.cpp (llama-cpp-python {llama_cpp.__version__}, gguf {version('gguf')})",
            "setting": "built for " + (native[0] if native else "any x86"),
        }

    def open(self, work, mode, order):
        if work != "generate":
            raise RuntimeError("llama.cpp only generates")
        return LlamaGenerate(self, mode, order)


PEERS = {"pytorch": PyTorch, "pytorch-as-installed": PyTorch, "pytorch-cuda": PyTorchCuda, "llama.cpp": Llama}


def version(package):
    from importlib import metadata

    return metadata.version(package)


def obey(peer, works, line):
    ask = json.loads(line)
    key = ask.get("key")
    if ask["do"] == "hello":
        return peer.about
    if ask["do"] == "open":
        works[key] = peer.open(ask["work"], ask["mode"], ask["order"])
        return works[key].opened()
    if ask["do"] == "turn":
        return works[key].turn(ask["repeats"])
    work = works.pop(key, None)
    if hasattr(work, "close"):
        work.close()
    del work
    peer.tidy()
    return {"peak_bytes": peak_memory()}


class Patience:
    """Says every ten seconds how long what is compiled has taken."""

    def __init__(self, line, say):
        self.begun, self.over, self.say = time.perf_counter(), threading.Event(), say
        self.mode = json.loads(line).get("mode", "")
        self.thread = threading.Thread(target=self.talk, daemon=True) if "compiled" in self.mode else None

    def talk(self):
        while not self.over.wait(10):
            done = sys.modules.get("torch._dynamo.utils")
            graphs = done.counters["stats"]["unique_graphs"] if done else 0
            seconds = time.perf_counter() - self.begun
            self.say({"progress": f"{self.mode}: {seconds:.0f} s so far, {graphs} graphs seen"})

    def __enter__(self):
        if self.thread:
            self.thread.start()

    def __exit__(self, *_):
        self.over.set()
        if self.thread:
            self.thread.join()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", choices=list(PEERS))
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--cpu-time", action="store_true", help="processor seconds per thread, not wall time")
    options = parser.parse_args()
    if options.peer == "pytorch" and "PEERS_TUNED" not in os.environ:
        tune(options.threads)
    if "PEERS_TUNED" in os.environ:
        shutil.rmtree(os.environ["PEERS_TUNED"], ignore_errors=True)
    answers = os.dup(1)  # libraries may print; answers stand alone on what was standard output
    os.dup2(2, 1)
    answer_to = os.fdopen(answers, "w")
    try:
        peer = PEERS[options.peer](options)
        trouble = None
    except ImportError as error:
        trouble = f"{error}; pip install {'llama-cpp-python gguf numpy' if options.peer == 'llama.cpp' else 'torch numpy'}"
    works = {}

    def say(answer):
        print(json.dumps(answer), file=answer_to, flush=True)

    for line in sys.stdin:
        try:
            with Patience(line, say):
                answer = {"error": trouble} if trouble else obey(peer, works, line)
        except Exception as error:
            traceback.print_exc()
            traceback.clear_frames(error.__traceback__)
            answer = {"error": f"{type(error).__name__}: {error}"}
            peer.tidy()
        say(answer)


if __name__ == "__main__":
    main()
