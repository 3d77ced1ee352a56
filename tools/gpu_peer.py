#!/usr/bin/env python3
"""PyTorch's training step of the models that `pyrite bench train` and `pyrite bench gpt2` train, on the same GPU.

usage: gpu_peer.py        prints tokens a second in f32 (no TF32) and with bf16 autocast, eager and compiled
"""
import time
import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        rows, length, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(rows, length, 3, width // 64, 64).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(y.transpose(1, 2).reshape(rows, length, width))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class Model(nn.Module):
    def __init__(self, layers, width, vocab, length):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocab, width), nn.Embedding(length, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens, targets):
        x = self.tokens(tokens) + self.positions.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        logits = self.norm(x) @ self.tokens.weight.T
        return F.cross_entropy(logits.float().flatten(0, 1), targets.flatten())


def measure(layers, width, vocab, rows, length, half, compiled):
    torch.manual_seed(1)
    model = Model(layers, width, vocab, length).cuda()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4, fused=True)
    run = torch.compile(model) if compiled else model
    tokens = torch.randint(vocab, (rows, length), device="cuda")
    targets = torch.randint(vocab, (rows, length), device="cuda")

    def step():
        optimizer.zero_grad()
        with torch.autocast("cuda", torch.bfloat16, enabled=half):
            loss = run(tokens, targets)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    for _ in range(5):
        step()
    rates = []
    for _ in range(5):
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(5):
            step()
        torch.cuda.synchronize()
        rates.append(5 * rows * length / (time.perf_counter() - start))
    return sorted(rates)[2]


def main():
    torch.backends.cuda.matmul.allow_tf32 = False
    print("PyTorch", torch.__version__, "on", torch.cuda.get_device_name())
    shapes = [("14M 8x128", (6, 384, 8192, 8, 128)), ("14M 64x128", (6, 384, 8192, 64, 128)),
              ("124M 8x1024", (12, 768, 50257, 8, 1024))]
    for name, shape in shapes:
        for half in (False, True):
            for compiled in (False, True):
                rate = measure(*shape, half, compiled)
                print(f"{name:12} {'bf16' if half else 'f32':5} {'compiled' if compiled else 'eager':9} {rate:9.0f} tokens/s",
                      flush=True)


if __name__ == "__main__":
    main()
