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
# cuDNN's frontend looks for the library in LD_LIBRARY_PATH first: PyTorch's, where it came as a wheel.
cudnn=$("$PYTHON" -c 'from importlib.util import find_spec; print([*find_spec("nvidia.cudnn").submodule_search_locations][0])' \
    2>/dev/null || true)
if [ -n "$cudnn" ] && [ -d "$cudnn/lib" ]; then
    export LD_LIBRARY_PATH="$cudnn/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
fi
exec "$PYTHON" benchmarks/on_device.py --out "${OUT:-benchmarks/results}" "$@"
