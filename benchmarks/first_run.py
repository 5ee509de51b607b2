"""What a whole run takes here, with and without compiled programs kept, against another checkout.

    git clone . OLD && git -C OLD checkout COMMIT
    python benchmarks/first_run.py OLD [--rounds 3] [--out JSON] [uncle run's words]

By default `uncle run` as it is. In turns: the other checkout, here with an empty compile cache,
here with the one that this left. Seconds of the process and of its cores (medians), and ratios.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.checkout import commit_of, timed
from uncle_jax.runs.environment import environment

HERE = Path(__file__).resolve().parents[1]


def run(checkout: Path, folder: Path, words: list[str]) -> tuple[float, float]:
    """(wall, CPU) seconds of one run of `checkout` into `folder`, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    return timed(checkout, "run.py", "--workdir", str(folder), *words)


def main() -> None:
    """Run all three in turns and print (or write) medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", type=Path, help="another checkout")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    args, words = parser.parse_known_args()  # what is not this script's is `uncle run`'s
    found: dict[str, list[tuple[float, float]]] = {"other": [], "cold": [], "warm": []}
    with tempfile.TemporaryDirectory() as temporary:
        work, cache = Path(temporary) / "w", Path(temporary) / "compiled"
        kept = [*words, "--compile-cache", str(cache)]
        for _ in range(args.rounds):
            found["other"].append(run(args.other.resolve(), work, words))
            shutil.rmtree(cache, ignore_errors=True)
            found["cold"].append(run(HERE, work, kept))
            found["warm"].append(run(HERE, work, kept))
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
    told = {"words": words, "rounds": args.rounds, "other_commit": commit_of(args.other)}
    text = json.dumps(told | rows | environment(), indent=1)
    print(text)
    if args.out:
        args.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
