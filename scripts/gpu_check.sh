#!/usr/bin/env bash
# Tries on a GPU what only a GPU can show, in at most ten minutes.
#
#     scripts/gpu_check.sh [--device cuda|cpu] [--quick]
#
# Steps, each with its own time limit; a step that fails or runs out of time keeps none after it
# from running:
#   packages   what Python needs is there (else nothing runs)
#   tests      those marked gpu: same bits, close to the CPU, several at a time, out of memory
#   training   the training loop beside a bare loop, torch.compile and CUDA graphs
#   growth     one growth in epochs of training, full ResNet-18
#   fig15      as much of protocol tiny-fig15 as fits into the rest; needs CIFAR-100
#
# Into $OUT (default ./gpu-check): summary.json (steps, seconds, measurements), log.txt, and
# fig15.tar.gz, the ledger; unpacked it is a results folder. The exit code is 0 if every step ended
# well or was skipped, for lack of data, with the reason in summary.json; 1 if one did not.
# --device cpu --quick tries the script itself in a minute or two.
#
# Python is $PYTHON (default python3), data is in $NAS_BENCH_DATA. Ray and wandb are not needed.
# Where nas-bench is not installed, this checkout is copied into a folder that is gone afterwards,
# and the wheels in $WHEELS (default ./wheels) are installed there. A machine without network that has
# torch, torchvision, the usual scientific packages, click, rich, jinja2, filelock, pytest,
# pytest-xdist and hypothesis needs 3 MB of them, made elsewhere, here for Python 3.12:
#
#     pip wheel --no-deps -w wheels fvcore iopath yacs termcolor portalocker tabulate platformdirs
#     pip download --only-binary=:all: --python-version 3.12 --platform manylinux2014_x86_64 \
#         -d wheels pydantic
set -uo pipefail

device=cuda quick=""
while (($#)); do
  case $1 in
    --device) device=${2:?--device takes cuda or cpu} && shift ;;
    --quick) quick=yes ;;
    *) echo "usage: scripts/gpu_check.sh [--device cuda|cpu] [--quick]" >&2 && exit 2 ;;
  esac
  shift
done

root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3} total=570
mkdir -p "${OUT:=gpu-check}"
OUT=$(cd "$OUT" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$root" || exit 1
: >"$OUT/log.txt" >"$scratch/steps"
export OMP_NUM_THREADS=1 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1

say() { echo "$*" | tee -a "$OUT/log.txt"; }

# note STEP STATUS SECONDS REASON
note() {
  printf '%s\t%s\t%s\t%s\n' "$@" >>"$scratch/steps"
  say "$1: $2 ($3 s)${4:+: $4}"
}

# step NAME LIMIT COMMAND...: a limit beyond the end of the ten minutes ends there
step() {
  local name=$1 limit=$2 begun=$SECONDS code=0 left=$((total - SECONDS))
  shift 2
  ((limit <= left)) || limit=$left
  if ((limit < 5)); then
    note "$name" skipped 0 "no time is left"
    return
  fi
  say "== $name"
  timeout --preserve-status --kill-after=25 "$limit" "$@" 2>&1 | tee -a "$OUT/log.txt" || code=$?
  local took=$((SECONDS - begun))
  case $code in
    0) note "$name" ok "$took" "" ;;
    75) note "$name" ok "$took" "cut short after $limit s" ;; # nas-bench kept what there was
    137 | 143) note "$name" timeout "$took" "more than $limit s" ;;
    *) note "$name" failed "$took" "exit code $code" ;;
  esac
}

# unpacked FOLDER: this checkout as pip would install it, which asks for a recent setuptools
unpacked() {
  "$python" - "$1" <<'PYTHON'
import shutil
import sys
import tomllib
from pathlib import Path

site = Path(sys.argv[1])
for source, target in (("nas_bench", ""), ("methods", "methods"), ("tasks", "tasks")):
    shutil.copytree(source, site / "nas_bench" / target)
project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
info = site / f"nas_bench-{project['version']}.dist-info"
info.mkdir()
(info / "METADATA").write_text(
    f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
)
lines = [
    f"[{group}]\n{name} = {place}\n"
    for group, names in project["entry-points"].items()
    for name, place in names.items()
]
(info / "entry_points.txt").write_text("".join(lines))
PYTHON
}

packages() {
  if ! "$python" -P -c "import nas_bench.plugins" 2>/dev/null; then
    local wheels=("${WHEELS:-wheels}"/*.whl)
    if [ -e "${wheels[0]}" ]; then
      "$python" -m pip install --quiet --no-index --no-deps --target "$scratch/site" \
        "${wheels[@]}" || return
    fi
    unpacked "$scratch/site" || return
    export PYTHONPATH=$scratch/site
  fi
  "$python" -P - "$device" <<'PYTHON'
import importlib
import sys

missing = []
for name in (
    "torch", "torchvision", "fvcore.nn", "pydantic", "platformdirs", "yaml", "click", "rich",
    "filelock", "jinja2", "matplotlib", "pandas", "scipy", "sklearn", "pytest", "xdist",
    "hypothesis", "nas_bench.tasks.digits",
):
    try:
        importlib.import_module(name)
    except ImportError as error:
        missing.append(f"{name} ({error})")
if missing:
    sys.exit(f"missing: {', '.join(missing)}")
import torch

if sys.argv[1] != "cpu" and not torch.cuda.is_available():
    sys.exit("torch finds no GPU here: use --device cpu --quick to try the script itself")
name = torch.cuda.get_device_name() if sys.argv[1] != "cpu" else "cpu"
print(f"torch {torch.__version__}, {name}")
PYTHON
}

summary() {
  "$python" - "$scratch" "$OUT" "$device" "${quick:-no}" <<'PYTHON'
import json
import sys
from pathlib import Path

scratch, out = map(Path, sys.argv[1:3])
lines = [line.split("\t") for line in (scratch / "steps").read_text().splitlines()]
steps = [
    {"step": step, "status": status, "seconds": int(seconds), "reason": reason}
    for step, status, seconds, reason in lines
]
measured = {path.stem: json.loads(path.read_text()) for path in scratch.glob("*.json")}
facts = {"device": sys.argv[3], "quick": sys.argv[4] == "yes"}
text = json.dumps(facts | {"steps": steps, "measured": measured}, indent=2)
(out / "summary.json").write_text(text + "\n")
sys.exit(any(step["status"] in ("failed", "timeout") for step in steps))
PYTHON
}

say "== packages"
if ! packages >"$scratch/packages" 2>&1; then
  note packages failed "$SECONDS" "$(tail -n 1 "$scratch/packages")"
  cat "$scratch/packages" >>"$OUT/log.txt"
  summary
  exit 1
fi
note packages ok "$SECONDS" "$(tail -n 1 "$scratch/packages")"

tests=() training=() growth=() fig15=(--tasks cifar100 --seeds 0 --set 'twins=[]')
needed=cifar-100-python/train
if [ -n "$quick" ]; then
  tests=(-k "digits or memory")
  training=(--networks mlp --steps 5 --repeats 1 --quick)
  growth=(--network mlp --samples 500 --methods random_growth)
  fig15=(--tasks digits --methods tiny --no-baselines --seeds 0 --budget "40 steps"
    --set schedule.every=15 --set 'twins=[]')
  needed=""
fi
run=("$python" -P)
export NAS_BENCH_TEST_DEVICE=$device

step tests 200 "${run[@]}" -m pytest -q -n 0 -p no:cacheprovider -W default -m gpu \
  "${tests[@]}" tests/execution/test_gpu.py tests/test_ledger_verbs.py
here=${PYTHONPATH:-}
export PYTHONPATH=$root/tests${here:+:$here}
step training 150 "${run[@]}" tests/benchmarks/device_training.py --device "$device" \
  --json "$scratch/training.json" "${training[@]}"
step growth 90 "${run[@]}" tests/benchmarks/growth_share.py --device "$device" \
  --json "$scratch/growth.json" "${growth[@]}"
export PYTHONPATH=$here

if [ -n "$needed" ] && [ ! -e "${NAS_BENCH_DATA:-}/$needed" ]; then
  note fig15 skipped 0 "there is no $needed in NAS_BENCH_DATA"
else
  step fig15 "$((total - SECONDS - 30))" "${run[@]}" -m nas_bench run --protocol tiny-fig15 \
    "${fig15[@]}" --executor inline --device "$device" --results "$scratch/fig15"
  tar -czf "$OUT/fig15.tar.gz" --exclude .checkpoints -C "$scratch" fig15
fi
summary
