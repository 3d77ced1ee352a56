#!/usr/bin/env bash
# pyrite inspect and convert: models go from folders to GGUF files and back to the same bytes, tokenizer included; what
# is missing, left over or unsound is named.
. "${srcdir:-.}/tests/program.sh"
source=$(cd "$OLDPWD" && realpath "${srcdir:-.}")
base=$source/bases/safety

# same FILE FILE…: all have the same bytes.
same() { for file in "${@:2}"; do cmp -s "$1" "$file" || complain "$1 and $file differ"; done; }

runs 0 inspect "$base"
says out 'safetensors, 0.9 MiB of numbers'
says out 'llama, 488640 parameters'
says out '4 of width 96, feed-forward 256 (SwiGLU), RMSNorm, epsilon 1e-05'
says out '4 heads of 24, rotary positions, theta 10000, context 192'
says out '473, the head is the embedding'
says out 'byte-level BPE, 473 tokens'
says out 'format pyrite, ends with <|end|>'
says out '38 of 488640 numbers: 38 BF16'
says out 'model.layers.0.mlp.gate_proj.weight             BF16         24576  [256, 96]'

# bf16 numbers survive F32 and BF16 in either format
runs 0 convert "$base" one.gguf --type bf16
says out 'one.gguf: llama, 488640 parameters, BF16'
runs 0 convert one.gguf two --type bf16
runs 0 convert two three.gguf
runs 0 convert three.gguf four --type bf16
same "$base/model.safetensors" two/model.safetensors four/model.safetensors
runs 0 inspect one.gguf
says out 'one.gguf, GGUF'
says out 'byte-level BPE, 473 tokens'
says out 'format pyrite, ends with <|end|>'
says out '38 of 488640 numbers: 29 BF16, 9 F32'
runs 0 convert three.gguf five.gguf --type q8_0
runs 0 inspect five.gguf
says out '38 of 488640 numbers: 29 Q8_0, 9 F32'
# the same answers from every one of them
for model in "$base" one.gguf two three.gguf four; do
    runs 0 generate "$model" 'How do I bake bread?' --temperature 0 --max-new 16 --threads 1
    mv out "answer-${model##*/}"
done
same answer-safety answer-one.gguf answer-two answer-three.gguf answer-four
runs 0 generate five.gguf 'How do I bake bread?' --temperature 0 --max-new 16 --threads 1

# trained on, a GGUF file is the folder it came from
for i in 1 2 3 4; do echo "{\"prompt\": \"question $i\", \"chosen\": \"answer $i\", \"rejected\": \"no\"}"; done >pairs.jsonl
for model in two one.gguf; do
    printf 'name: tune\nsteps:\n  data: {use: pairs, file: pairs.jsonl, heldout: 0.25}\n  sft: {use: sft, base: %s, data: data, steps: 2, batch: 2}\n' \
        "$model" >tune.yaml
    runs 0 run tune.yaml --out "tuned-$model" --threads 1
done
same tuned-*/steps/sft/model.safetensors

# without a tokenizer
runs 0 convert "$base" bare.gguf --no-tokenizer
runs 0 inspect bare.gguf
says out 'tokenizer     none'
runs 0 convert bare.gguf bare --no-tokenizer
[ ! -e bare/tokenizer.json ] || complain "--no-tokenizer left a tokenizer"
runs 2 convert bare barer.gguf
says out 'tokenizer.json'

# a score head, always the same
runs 0 convert "$base" head-1 --init-head
says out 'with a score head'
runs 0 convert "$base" head-2 --init-head
same head-1/model.safetensors head-2/model.safetensors
runs 2 generate head-1 hello
says out 'head-1 has a score head: a reward model scores answers, and what it wrote would be no policy'
runs 0 inspect head-1
says out '1 for each text, from its last token'
says out 'score.weight                                    F32             96  [1, 96]'
runs 0 convert head-1 head.gguf
runs 0 convert head.gguf head-3
same head-1/model.safetensors head-3/model.safetensors
cp -r "$base" headless
sed -i 's/LlamaForCausalLM/LlamaForSequenceClassification/; s/"vocab_size"/"num_labels": 1, "vocab_size"/' headless/config.json
runs 2 convert headless head-4
says out 'tensor "score.weight" is missing: pyrite convert --init-head'
runs 0 convert headless head-4 --init-head
same head-1/model.safetensors head-4/model.safetensors

# an adapter, which PEFT saved, and the model that it makes of its base
peft=$source/tests/fixtures/peft
runs 0 inspect "$peft/llama"
says out '/transformer/llama, rank 3, alpha 6, dropout 0.1, self_attn.q_proj self_attn.k_proj'
says out '2 for each text, from its last token'
says out 'tokenizer     none'
says out '28 of 1776 numbers: 28 F32'
says out 'base_model.model.model.layers.0.mlp.down_proj.lora_A.weight'
runs 2 convert "$peft/llama" merged --no-tokenizer
says out 'peft/llama is an adapter: --merge writes its base with it as one model'
runs 0 convert "$peft/llama" merged --merge --no-tokenizer
runs 0 convert "$peft/llama" merged.gguf --merge --no-tokenizer
runs 0 inspect merged
says out 'merged/model.safetensors, safetensors'
runs 2 convert merged again --merge --no-tokenizer
says out 'merged is no adapter: --merge takes a folder with adapter_config.json'
runs 2 convert "$peft/llama" again --merge --init-head
says out 'merge first'
runs 0 convert merged.gguf again --no-tokenizer
same merged/model.safetensors again/model.safetensors
mkdir lost && cp "$peft/llama"/adapter_* lost
runs 0 inspect lost
says out 'adapter       not usable: lost: the base "../../transformer/llama" is neither at that path from lost nor from here'

# what cannot be
runs 2 convert "$base" two
says out 'two holds a model already'
runs 2 convert "$base" other --type q8_0
says out 'safetensors hold no Q8_0'
[ ! -e other ] || complain "a refused conversion left something"
runs 2 convert "$base" other --type q4_0
says out "--type is 'q4_0': expected f32, f16, bf16 or q8_0"
runs 2 convert missing.gguf other
says out 'missing.gguf'
runs 2 inspect missing
says out 'there is no folder missing; a model'
sed -i 's/"num_hidden_layers": 4/"num_hidden_layers": 3/' two/config.json
runs 2 convert two other
says out 'tensor "model.layers.3.input_layernorm.weight" belongs to no part of the model'
sed -i 's/"num_hidden_layers": 3/"num_hidden_layers": 5/' two/config.json
runs 2 convert two other
says out 'tensor "model.layers.4.input_layernorm.weight" is missing'
sed -i 's/"llama"/"bert"/' two/config.json
runs 0 inspect two
says out 'model         not usable: two/config.json: "model_type" is "bert": there is no model family "bert"'
head -c 1000000 three.gguf >cut.gguf
runs 2 inspect cut.gguf
says out 'cut.gguf is not a sound GGUF file: tensor'
says out 'it is truncated'
printf '\377\377\377\377\377\377\377\177{' >four/model.safetensors
runs 2 inspect four
says out 'four/model.safetensors is not a sound safetensors file: the header claims 9223372036854775807 bytes'

exit $failed
