#!/usr/bin/env bash
# Packs what a build needs to run on a machine with nothing but an NVIDIA driver: the program, the CUDA tests, the shared
# libraries they want (the C library apart), recipes and bases.
#   tools/gpu-bundle.sh [ARCHIVE]         from build/, into build/pyrite-gpu.tar.xz
# There: tar xf pyrite-gpu.tar.xz && pyrite-gpu/check.sh, or pyrite-gpu/pyrite run pyrite-gpu/recipes/check.yaml --device cuda
set -euo pipefail
cd "$(dirname "$0")/.."
archive=$(realpath -m "${1:-build/pyrite-gpu.tar.xz}")
most=$((60 << 20)) # bytes

[ -x build/pyrite ] || { echo "gpu-bundle.sh: build/pyrite is not there; run ./setup.sh first" >&2; exit 1; }
grep -q '^NVCC = .' build/Makefile || { echo "gpu-bundle.sh: build/ has no CUDA backend; configure it where nvcc is" >&2; exit 1; }
make -s -C build -j"$(nproc)" pyrite tests/cuda_bf16 tests/cuda_attention tests/cuda_groups tests/cuda_ops tests/cuda_products tests/cuda_model tests/cuda_queue tests/cuda_steps tests/cuda_cublas >/dev/null

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bundle=$work/pyrite-gpu
mkdir -p "$bundle/bin" "$bundle/lib"
cp build/pyrite build/tests/cuda_bf16 build/tests/cuda_attention build/tests/cuda_groups build/tests/cuda_ops build/tests/cuda_products build/tests/cuda_model build/tests/cuda_queue build/tests/cuda_steps build/tests/cuda_cublas "$bundle/bin"
strip "$bundle"/bin/*
cp -r recipes bases "$bundle"
cp tests/check_gpu.sh tests/sanitize.sh tests/kill.sh tests/tiny.yaml "$bundle"
ldd "$bundle"/bin/* | awk '$2 == "=>" && $3 ~ "^/" {print $3}' | sort -u |
    grep -vE '/(libc|libm|libpthread|libdl|librt|libresolv|ld-linux[^/]*)\.so' | xargs -I{} cp -L {} "$bundle/lib"
for name in pyrite cuda_bf16 cuda_attention cuda_groups cuda_ops cuda_products cuda_model cuda_queue cuda_steps cuda_cublas; do
    cat >"$bundle/$name" <<END
#!/bin/sh
here=\$(cd "\$(dirname "\$0")" && pwd)
LD_LIBRARY_PATH="\$here/lib\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}" exec "\$here/bin/$name" "\$@"
END
done
cat >"$bundle/check.sh" <<'END'
#!/bin/sh
cd "$(dirname "$0")" && LD_LIBRARY_PATH=$PWD/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} PYRITE=$PWD/pyrite TESTS=$PWD BINARIES=$PWD/bin exec bash ./check_gpu.sh "$@"
END
chmod +x "$bundle"/pyrite "$bundle"/cuda_* "$bundle"/check.sh
tar -C "$work" -cJf "$archive" pyrite-gpu
size=$(stat -c %s "$archive")
[ "$size" -le $most ] || { echo "gpu-bundle.sh: $archive has $size bytes, more than $most" >&2; exit 1; }
echo "gpu-bundle.sh: $archive, $((size >> 20)) MiB"
