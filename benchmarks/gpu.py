"""What only an accelerator can tell, in slices of under nine minutes that go on where they were.

    python benchmarks/gpu.py --out FOLDER [--data-dir DIR] [--minutes 9] [--peak-tflops 67]
    python benchmarks/gpu.py --out FOLDER --toy           # all of it on a CPU, in minutes

correct                 ten steps of learning and ten of unlearning, scanned and one by one, against
                        a CPU's; the drift's gradient at small moves against float64's, with the
                        precision policy and without
resnet18-float32, ...   seconds of steps and requests with 1, 10 and 50 tasks retained, batches of
                        512; share of the device's peak; memory; in float32 and bfloat16
run                     CIFAR-100, sequence 1, ResNet-50, the paper's preset: killed when the time
                        is over, and continued by the next call

Each slice is a process of its own and leaves FOLDER/SLICE.json with its provenance; what is there
is not run again. Exit code 1 while something is left, or where a device's answers are apart.
"""

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

# No jax here: a process that has it holds the device's memory.
HERE = Path(__file__).resolve().parent
BOUND = 1e-3  # relative, of losses and predictions: sums are added in another order
OF_DRIFT = 1e-2
LEAST = 30  # seconds worth beginning a slice with


class Unfinished(Exception):
    """A slice's time was over."""


def correct(args: argparse.Namespace, limit: float) -> dict[str, Any]:
    """The device's answers against a CPU's, and its drift against float64's."""
    end = time.monotonic() + limit
    words = ["answers", "toy" if args.toy else "thin"]
    cpu = _slice(words, limit, {"JAX_PLATFORMS": "cpu"})
    device = _slice(words, end - time.monotonic())
    apart = {
        f"{what}, {how}": _apart(device[how][what], cpu["by_one"][what])
        for what in ("learn", "unlearn", "logits")
        for how in ("by_one", "scanned")
    }
    drift = {
        how: [_apart(a, b) for a, b in zip(device[how], cpu["float64"], strict=True)]
        for how in ("with_policy", "without_policy")
    }
    met = max(apart.values()) <= BOUND and max(drift["with_policy"]) <= OF_DRIFT
    kept = {k: v for k, v in device.items() if k not in ("by_one", "scanned", *drift, "float64")}
    return {"relative_errors": apart, "bound": BOUND, "drift": drift, "met": met, **kept}


def _apart(a: Sequence[float], b: Sequence[float]) -> float:
    """The norm of the difference over the norm."""
    return math.dist(a, b) / math.hypot(*b)


def steps(args: argparse.Namespace, limit: float, network: str, precision: str) -> dict[str, Any]:
    """Times of one network in one precision, and what share of the peak they are."""
    words = ["times", network, precision]
    if args.toy:
        words = ["times", "toy", precision, "--batch", "8", "--tasks", "1", "--rounds", "2"]
        words += ["--burn-in", "2"]
    found = _slice(words, limit)
    for row in found["rows"]:
        for what in ("plain", "learn", "unlearn"):
            rate = row[f"{what}_step_gflop"] / row[f"{what}_step"] / 1e3
            row[f"{what}_tflops"] = rate
            if args.peak_tflops:
                row[f"{what}_share_of_peak"] = rate / args.peak_tflops
    return found


def _slice(words: list[str], limit: float, more: Mapping[str, str] = {}) -> dict[str, Any]:
    """What gpu_slices.py prints."""
    command = [sys.executable, str(HERE / "gpu_slices.py"), *words]
    try:
        done = subprocess.run(
            command,
            env=os.environ | dict(more),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=limit,
        )
    except subprocess.TimeoutExpired:
        raise Unfinished from None
    return json.loads(done.stdout)


def run(args: argparse.Namespace, limit: float) -> dict[str, Any]:
    """The paper's run, or as much of it as `limit` seconds hold."""
    work, log = args.out / "run", args.out / "run.log"
    words = ["--dataset", "cifar100", "--preset", "paper", "--backbone", "resnet50"]
    words += ["--save-every", "1"]
    if args.data_dir:
        words += ["--data-dir", str(args.data_dir), "--no-download", "--accept", "cifar100"]
    if args.toy:
        words = ["--requests", "L0 L1 U0", "--epochs", "1", "--set", "width=4"]
        words += ["--set", "chunks=5", "--set", "trunk=8,16", "--set", "norm_calibration=1"]
    command = [sys.executable, str(HERE.parent / "experiments" / "run.py")]
    with log.open("a") as out:
        process = subprocess.Popen(
            [*command, "--workdir", str(work), *words], stdout=out, stderr=out
        )
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            process.wait()
            raise Unfinished from None
    if code:
        raise SystemExit(f"run: exit {code}; its output is in {log}")
    seed = work / "seed0"
    told = {name: json.loads((seed / f"{name}.json").read_text()) for name in ("config", "times")}
    metrics = (seed / "metrics.csv").read_text().splitlines()
    return {"words": words, "summary": json.loads((work / "summary.json").read_text())} | {
        "metrics": metrics,
        **told,
    }


SLICES: dict[str, Callable[..., dict[str, Any]]] = {
    "correct": correct,
    **{
        f"{network}-{precision}": partial(steps, network=network, precision=precision)
        for network in ("resnet18", "resnet50")
        for precision in ("float32", "bfloat16")
    },
    "run": run,
}


def main(argv: list[str] | None = None) -> int:
    """Run what is left, as long as there is time, and print what is there."""
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--data-dir", type=Path, help="the publisher's CIFAR-100, for `run`")
    p.add_argument("--minutes", type=float, default=9.0, help="for all slices of this call")
    p.add_argument("--peak-tflops", type=float, help="the device's, to say what share steps have")
    p.add_argument("--only", nargs="+", choices=SLICES, default=list(SLICES))
    p.add_argument("--toy", action="store_true")
    args = p.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    end, left = time.monotonic() + 60 * args.minutes, list[str]()
    for name in args.only:
        file, limit = args.out / f"{name}.json", end - time.monotonic()
        if not file.exists():
            try:
                if limit < LEAST:
                    raise Unfinished
                print(f"{name}: {limit:.0f} s left", file=sys.stderr, flush=True)
                found = {"slice": name, "toy": args.toy, **SLICES[name](args, limit)}
            except Unfinished:
                left.append(name)
                continue
            file.write_text(json.dumps(found, indent=1) + "\n")
        show(name, json.loads(file.read_text()))
    if left:
        print(f"left, and gone on with by the same command: {' '.join(left)}")
    checked = args.out / "correct.json"
    wrong = checked.exists() and not json.loads(checked.read_text())["met"]
    return 1 if left or wrong else 0


def show(name: str, found: Mapping[str, Any]) -> None:
    """One slice's table."""
    print(f"\n{name} ({found.get('device', {}).get('kind', '')})")
    if name == "correct":
        for what, error in found["relative_errors"].items():
            print(f"  {what:<20}{error:.1e}  (bound {found['bound']:g})")
        for how, errors in found["drift"].items():
            print(f"  drift {how:<16}" + "  ".join(f"{e:.1e}" for e in errors))
    elif name == "run":
        print(json.dumps({k: found["summary"].get(k) for k in ("RA", "FA")}))
    else:
        for row in found["rows"]:
            cells = (
                f"{w} {1e3 * row[f'{w}_step']:.2f} ms ({row[f'{w}_tflops']:.2f} TFLOP/s)"
                for w in ("plain", "learn", "unlearn")
            )
            print(f"  T = {row['T']}: {', '.join(cells)}, peak {row['peak_gb']:.2f} GB")


if __name__ == "__main__":
    sys.exit(main())
