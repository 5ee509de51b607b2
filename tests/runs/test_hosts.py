"""Two processes under jax.distributed: one run, one store, and it goes on after a kill."""

import csv
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TESTS, with_devices

from uncle_jax.store import recovery

REQUESTS = ["--requests", "L0 U0 L1", "--set", "epochs=2", "--batch-size", "64"]
ARGUMENTS = [*REQUESTS, "--save-every", "1", "--mesh", "data=2", "--compile-cache", "none"]


def started(workdir: Path, *more: str, devices: int = 1, **env: str) -> "subprocess.Popen[str]":
    command = [sys.executable, str(TESTS / "hosting.py"), *ARGUMENTS, "--workdir", str(workdir)]
    return subprocess.Popen(
        [*command, *more],
        env=with_devices(devices) | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def together(workdir: Path, other: Path, **env: str) -> "list[tuple[int, str]]":
    """(exit code, what was said) of processes 0 and 1; `other` is the work directory of 1."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        where = f"localhost:{free.getsockname()[1]}"
    hosts = ["--coordinator", where, "--processes", "2", "--process"]
    both = [started(workdir, *hosts, "0", **env), started(other, *hosts, "1")]
    try:
        said = [one.communicate(timeout=300) for one in both]
    finally:
        for one in both:
            one.kill()
    return [(one.returncode, out + error) for one, (out, error) in zip(both, said, strict=True)]


def accuracies(workdir: Path) -> dict[tuple[str, str], float]:
    with (workdir / "seed0" / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "accuracy"]
    return {(row["request"], row["evaluated_task"]): float(row["value"]) for row in rows}


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    """A run of two processes whose leader was killed in its last request, begun again."""
    place = tmp_path_factory.mktemp("hosts")
    killed = together(place / "run", place / "none", DIE_IN="2-L1")
    assert killed[0][0] == -9, killed[0][1]
    assert killed[1][0] != 0, killed[1][1]
    return place, together(place / "run", place / "none")


def test_a_killed_run_goes_on_and_only_process_0_writes(answered):
    place, ended = answered
    assert [code for code, _ in ended] == [0, 0], ended
    assert "[3/3] L1" in ended[0][1]
    assert "L1" not in ended[1][1]
    assert not (place / "none").exists()
    with recovery.open_store(place / "run" / "seed0" / "store", write=False) as store:
        assert [entry["id"] for entry in store.requests] == ["0-L0", "1-U0", "2-L1"]


def test_two_processes_are_as_two_devices_of_one(answered):
    place, _ = answered
    one = started(place / "one", devices=2)
    out, error = one.communicate(timeout=300)
    assert one.returncode == 0, out + error
    ours, theirs = accuracies(place / "run"), accuracies(place / "one")
    assert ours.keys() == theirs.keys()
    for which, value in ours.items():
        assert value == pytest.approx(theirs[which], abs=1.0), which  # points: 4 images of 360
