"""Finished runs, found by what they are."""

from reporting import write_run

from uncle_jax.runs.spec import RunSpec
from uncle_jax.studies.finished import Finished

SEQUENCE = "L1 L0 U1 L5 L8 L9 L7 U0 L2 L3 L4 U8 U3 U5 L6"


def test_a_run_is_found_by_what_it_is(tmp_path):
    write_run(tmp_path / "any" / "name", requests=SEQUENCE, seeds=(0, 1))
    write_run(tmp_path / "any" / "noise", requests=SEQUENCE, ra=50.0, config={"noise": "fixed"})
    usual = RunSpec("cifar100", preset="laptop", seeds=(0,))
    finished = Finished([tmp_path / "any", tmp_path / "absent"])
    assert [run.seed for run in finished.row(usual).runs] == [0, 1]
    assert finished.row(usual).seeds == "0 1"
    assert finished.row(usual, only_its_seeds=True).seeds == "0"
    assert finished.row(usual.changed("noise=fixed")).mean_std("RA")[0] == 50.0
    for other in (
        RunSpec("permuted-digits", preset="laptop"),
        RunSpec("cifar100", preset="paper"),
        RunSpec("cifar100", "derpp", preset="laptop"),
        RunSpec("cifar100", preset="laptop", requests=usual.requests[:3]),
        usual.changed("beta=1"),
        usual.changed("noise=norm"),
    ):
        assert finished.row(other) is None, other


def test_where_a_seed_is_twice_the_first_folder_counts(tmp_path):
    for name, ra in (("one", 90.0), ("two", 80.0)):
        write_run(tmp_path / name / "run", requests=SEQUENCE, ra=ra)
    spec = RunSpec("cifar100", preset="laptop")
    found = [Finished([tmp_path / a, tmp_path / b]) for a, b in (("one", "two"), ("two", "one"))]
    assert [one.row(spec).mean_std("RA")[0] for one in found] == [90.0, 80.0]


def test_settings_that_trials_chose_are_another_row(tmp_path):
    told = {"source": "tuned", "changes": {}}
    more = {"dataset": "permuted-digits", "requests": SEQUENCE, "told": told}
    write_run(tmp_path / "run", **more)
    finished = Finished([tmp_path])
    assert finished.row(RunSpec()) is None
    assert finished.row(RunSpec(source="tuned")) is not None
