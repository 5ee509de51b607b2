"""What a request of a store costs here against another checkout, in CPU seconds of its process.

    git clone . OLD && git -C OLD checkout COMMIT
    python benchmarks/store_requests.py OLD --rounds 20 --out benchmarks/results/requests_cpu.json

Permuted digits, `laptop` preset with one epoch a task: a store that has learned tasks 0 and 1
learns task 2, unlearns task 0 and is asked for its status, each in a fresh process on a copy of
its own, the two checkouts in turns, each with a compile cache of its own that is warm. Medians, the
least of each (others on the machine can only add), and the median of the rounds' ratios with its
quartiles.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.checkout import commit_of, timed
from uncle_jax.data.permuted import permuted_digits
from uncle_jax.runs.environment import environment

HERE = Path(__file__).resolve().parents[1]
Seconds = dict[str, float]  # by operation


def cpu_seconds(checkout: Path, folder: Path, store: str, *words: str) -> float:
    """CPU seconds of one `experiments/request.py` of `checkout`."""
    options = ("--store", str(folder / store), "--compile-cache", str(folder / "compiled"))
    return timed(checkout, "request.py", *options, *words)[1]


def begin(checkout: Path, folder: Path, data: Path) -> None:
    """A store of `checkout` in `folder` that has learned two tasks; every program compiled."""
    folder.mkdir()
    shape = ("--tasks", "5", "--image-shape", "8", "8", "1", "--classes", "10")
    cpu_seconds(checkout, folder, "begun", "init", *shape, "--set", "epochs=1")
    for task in ("0", "1"):
        cpu_seconds(checkout, folder, "begun", *learn(task, data))
    requests(checkout, folder, data)


def learn(task: str, data: Path) -> list[str]:
    """The words of a request that learns `task`."""
    return ["learn", task, "--data", str(data / "train.npz"), "--test", str(data / "test.npz")]


def requests(checkout: Path, folder: Path, data: Path) -> Seconds:
    """CPU seconds of each request, on a copy of the begun store."""
    shutil.rmtree(folder / "store", ignore_errors=True)
    shutil.copytree(folder / "begun", folder / "store")
    asked = {"learn": learn("2", data), "unlearn": ["unlearn", "0"], "status": ["status"]}
    return {name: cpu_seconds(checkout, folder, "store", *asked[name]) for name in asked}


def main() -> None:
    """Measure both checkouts in turns and print (or write) medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", type=Path, help="another checkout")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    checkouts = {"here": HERE, "other": args.other.resolve()}
    found: dict[str, list[Seconds]] = {name: [] for name in checkouts}
    with tempfile.TemporaryDirectory() as temporary:
        scratch = Path(temporary)
        benchmark = permuted_digits(0)
        for split in ("train", "test"):
            part = benchmark.load(2, split)
            np.savez(scratch / f"{split}.npz", x=part.images, y=part.labels)
        for name, checkout in checkouts.items():
            begin(checkout, scratch / name, scratch)
        for turn in range(args.rounds):
            for name in sorted(checkouts, reverse=bool(turn % 2)):
                found[name].append(requests(checkouts[name], scratch / name, scratch))
    rows = {}
    for operation in found["here"][0]:
        here, other = ([one[operation] for one in found[name]] for name in ("here", "other"))
        ratios = [a / b for a, b in zip(here, other, strict=True)]
        low, _, high = statistics.quantiles(ratios, n=4)
        rows[operation] = {
            "here_cpu_s": round(statistics.median(here), 3),
            "other_cpu_s": round(statistics.median(other), 3),
            "here_least": round(min(here), 3),
            "other_least": round(min(other), 3),
            "ratio": round(statistics.median(ratios), 4),
            "ratio_quartiles": [round(low, 4), round(high, 4)],
        }
    text = json.dumps(
        {"rounds": args.rounds, "other": commit_of(args.other)} | rows | environment(), indent=1
    )
    print(text)
    if args.out:
        args.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
