"""The example of a method of one's own is what README says: one file, and a row of the table."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "experiments/own_method.py"


def script(name, *args, cwd):
    command = [sys.executable, str(ROOT / "experiments" / name), *args]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_it_appears_in_the_table(tmp_path):
    done = script("run.py", "--method", f"{FILE}:nearest_mean", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "RA  retained tasks, higher is better            91.36" in done.stdout
    shown = script("table.py", *map(str, (tmp_path / "runs").iterdir()), cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    (row,) = [line for line in shown.stdout.splitlines() if line.startswith("nearest_mean")]
    assert "nothing" in row
    assert "91.36" in row


def test_the_readme_says_how_long_it_is():
    code = FILE.read_text().split('"""\n', 1)[1]
    assert len([line for line in code.splitlines() if line.strip()]) <= 40
