"""What a whole run takes here, with and without compiled programs kept, against another checkout.

    git clone . OLD && git -C OLD checkout COMMIT
    python benchmarks/first_run.py OLD [--rounds 3] [--out JSON] [-- uncle run's words]

By default `uncle run` as it is. In turns: the other checkout, here with an empty compile cache,
here with the one that this left. Seconds of the process and of its cores (medians), and ratios.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from uncle_jax.runs.environment import environment

HERE = Path(__file__).resolve().parents[1]


def timed(checkout: Path, folder: Path, words: list[str]) -> tuple[float, float]:
    """(wall, CPU) seconds of one run of `checkout` into `folder`."""
    shutil.rmtree(folder, ignore_errors=True)
    script = checkout / "experiments" / "run.py"
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [sys.executable, str(script), "--workdir", str(folder), *words],
        env=os.environ | {"PYTHONPATH": str(checkout)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Run all three in turns and print (or write) medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", type=Path, help="another checkout")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("words", nargs="*", help="what `uncle run` is asked for")
    args = parser.parse_args()
    found: dict[str, list[tuple[float, float]]] = {"other": [], "cold": [], "warm": []}
    with tempfile.TemporaryDirectory() as temporary:
        work, cache = Path(temporary) / "w", Path(temporary) / "compiled"
        kept = [*args.words, "--compile-cache", str(cache)]
        for _ in range(args.rounds):
            found["other"].append(timed(args.other.resolve(), work, args.words))
            shutil.rmtree(cache, ignore_errors=True)
            found["cold"].append(timed(HERE, work, kept))
            found["warm"].append(timed(HERE, work, kept))
    rows = {
        name: {
            "wall_s": round(statistics.median(wall for wall, _ in runs), 1),
            "cpu_s": round(statistics.median(cpu for _, cpu in runs), 1),
        }
        for name, runs in found.items()
    }
    for name in ("cold", "warm"):
        for what in ("wall_s", "cpu_s"):
            rows[name][f"{what}_ratio"] = round(rows[name][what] / rows["other"][what], 3)
    command = ["git", "-C", str(args.other), "rev-parse", "--short", "HEAD"]
    other = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    told = {"words": args.words, "rounds": args.rounds, "other_commit": other}
    text = json.dumps(told | rows | environment(), indent=1)
    print(text)
    if args.out:
        args.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
