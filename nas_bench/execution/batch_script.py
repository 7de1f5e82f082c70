"""A batch script for Slurm: Ray on every node of the allocation, and one command that joins it.

References:
    Deploying on Slurm, Ray's documentation,
    https://docs.ray.io/en/latest/cluster/vms/user-guides/community/slurm.html. Its one-line
    `ray symmetric-run` ends every Ray of a machine, also those of other jobs; so nodes are
    started one by one here.
"""

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from nas_bench.execution.job import ExecutionError

_TITLE = "# Written by nas-bench run --slurm."
_DEFAULTS = (
    "--job-name=nas-bench",
    "--ntasks-per-node=1",
    "--signal=B:USR1@120",
    "--requeue",
    "--open-mode=append",
)
_BODY = r"""
# Everybody on the network could use a Ray without a token.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN RAY_USAGE_STATS_ENABLED=0
RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
address=$head:$((20000 + SLURM_JOB_ID % 12000))
nodes=$SLURM_JOB_NUM_NODES
cpus=${SLURM_CPUS_PER_TASK:-$SLURM_CPUS_ON_NODE}
resources=(--num-cpus="$cpus" --num-gpus="${SLURM_GPUS_ON_NODE:-0}"
  --temp-dir="/tmp/ray-$SLURM_JOB_ID" --disable-usage-stats --block)
processes=() running="" signalled="" requeue=""

# USR1 comes before the time is up: keep all states and go on in a job of the same number.
# TERM comes from scancel, and from Slurm where it requeues by itself: end.
# shellcheck disable=SC2317  # the traps call it
stop() {
  signalled=yes
  if [ -n "$running" ]; then kill -TERM "$running" 2>/dev/null; fi
}
trap 'requeue=yes; stop' USR1
trap stop TERM

finish() {
  if ((${#processes[@]})); then kill "${processes[@]}" 2>/dev/null; fi
  if [ "$1" -eq 75 ] && [ -n "$requeue" ]; then scontrol requeue "$SLURM_JOB_ID"; fi
  exit "$1"
}

srun --nodes=1 --ntasks=1 --cpus-per-task="$cpus" --nodelist="$head" \
  "${ray[@]}" start --head --port="${address##*:}" --include-dashboard=false \
  "${resources[@]}" &
processes+=($!)
for ((tries = 0; ; tries++)); do
  "${ray[@]}" status --address="$address" >/dev/null 2>&1 && break
  [ -z "$signalled" ] || finish 75
  if ((tries == 60)); then
    echo "Ray did not start on $head" >&2
    finish 4
  fi
  sleep 2
done
if ((nodes > 1)); then
  srun --nodes=$((nodes - 1)) --ntasks=$((nodes - 1)) --cpus-per-task="$cpus" \
    --exclude="$head" "${ray[@]}" start --address="$address" "${resources[@]}" &
  processes+=($!)
fi
[ -z "$signalled" ] || finish 75

"${command[@]}" --address "$address" &
running=$!
[ -z "$signalled" ] || kill -TERM "$running"
while :; do
  signalled=""
  wait "$running"
  code=$?
  [ -n "$signalled" ] || break # a signal ends a wait early
done
finish "$code"
"""


def script(command: Sequence[str], folder: Path, options: Sequence[str] = ()) -> str:
    """The batch script.

    Args:
        command: arguments of nas-bench, without an address.
        folder: where the command runs.
        options: of sbatch, such as --nodes=4; they take the place of our own.

    Raises:
        ValueError: if an option is not one line that begins with a dash.
    """
    for option in options:
        if not option.startswith("-") or not option.isprintable():
            raise ValueError(f"{option!r} is not an option of sbatch such as --time=24:00:00")
    given = {option.partition("=")[0].partition(" ")[0] for option in options}
    own = [option for option in _DEFAULTS if option.partition("=")[0] not in given]
    python = (sys.executable, "-m")
    return "\n".join(
        (
            "#!/bin/bash",
            _TITLE,
            *(f"#SBATCH {option}" for option in (*own, *options)),
            "",
            f"cd {shlex.quote(str(folder))} || exit 4",
            f"ray=({shlex.join((*python, 'ray.scripts.scripts'))})",
            f"command=({shlex.join((*python, 'nas_bench', *command))})",
            _BODY.rstrip("\n"),
            "",
        )
    )


def write(path: Path, text: str) -> None:
    """Write a script, in the place of an earlier one but of no other file.

    Raises:
        ExecutionError: if something else is there, or it cannot be written.
    """
    try:
        if path.exists() and _TITLE not in path.read_text("utf-8", "replace"):
            raise ExecutionError(f"{path} is not a script of nas-bench: choose another name")
        path.write_text(text, "utf-8")
        path.chmod(0o755)
    except OSError as error:
        raise ExecutionError(f"{path} cannot be written: {error.strerror}") from error


def submit(text: str) -> str:
    """Give a script to sbatch; what it answers.

    Raises:
        ExecutionError: if there is no sbatch here, or it refuses.
    """
    try:
        done = subprocess.run(
            ("sbatch",), input=text, capture_output=True, encoding="utf-8", errors="replace",
            check=False,
        )  # fmt: skip
    except FileNotFoundError:
        raise ExecutionError(
            "there is no sbatch on this machine: submit the script where Slurm is"
        ) from None
    if done.returncode:
        raise ExecutionError(f"sbatch refused the script: {' '.join(done.stderr.split())}")
    return done.stdout.strip()
