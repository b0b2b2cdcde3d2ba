#!/usr/bin/env bash
# Everything that is measured on a GPU, in one command and under ten minutes:
#
#     bash benchmarks/on_device.sh                    # writes benchmarks/results/DEVICE-DATE.json
#     OUT=folder bash benchmarks/on_device.sh bandwidth products     # these sections only
#
# It needs no network: Python (PYTHON=python3) with CuPy; PyTorch, pytest and compute-sanitizer are used where they are
# found. Wheels in .whl/ (cuDNN's frontend) are unpacked beside the results of the build, not installed.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}

shopt -s nullglob
wheels=(.whl/*.whl)
if [ ${#wheels[@]} -gt 0 ]; then
    target=$PWD/build/wheels
    mkdir -p "$target"
    for wheel in "${wheels[@]}"; do
        "$PYTHON" -m zipfile -e "$wheel" "$target"
    done
    export PYTHONPATH="$target${PYTHONPATH:+:$PYTHONPATH}"
fi
exec "$PYTHON" benchmarks/on_device.py --out "${OUT:-benchmarks/results}" "$@"
