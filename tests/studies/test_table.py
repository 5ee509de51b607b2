"""A study's runs as a table."""

from reporting import write_run

from uncle_jax.studies.catalogue import STUDIES, specs
from uncle_jax.studies.finished import Finished
from uncle_jax.studies.table import found, table_of

SEQUENCE = "L1 L0 U1 L5 L8 L9 L7 U0 L2 L3 L4 U8 U3 U5 L6"


def test_a_line_is_a_row_with_the_paper_beside_it(tmp_path):
    asked = STUDIES["saturation"]
    lines = specs(asked, "laptop", (0, 1))
    more = {"dataset": "permuted-digits", "requests": SEQUENCE, "seeds": (0, 1, 2)}
    more["told"] = {"source": "tuned", "changes": {}}
    write_run(tmp_path / lines[1][1].name, "uncle", ra=90.0, **more)
    told = found(lines, Finished([tmp_path]))
    assert [row is None for *_, row in told] == [True, False]
    table = table_of(asked, told, "laptop")
    assert table.head == ["data set", "line", "RA", "RA (paper)", "seeds"]
    assert table.body == [
        ["permuted-digits", "learning only", "-", "96.84", "-"],
        ["permuted-digits", "UnCLe", "90.50 ± 0.71", "96.87", "0 1"],  # seed 2 is not asked for
    ]
    assert "1 of 2 lines are not run" in table.notes
    assert any("tuned" in note for note in table.notes)
    assert any("Permuted-MNIST" in note for note in table.notes)


def test_seconds_and_minus_infinity(tmp_path):
    asked = STUDIES["noise"]
    lines = specs(asked, "paper", (0,), ("cifar100",))
    place = tmp_path / lines[0][1].name
    write_run(place, "uncle", name="paper", config={"noise": "fixed"}, requests=SEQUENCE)
    table = table_of(asked, found(lines, Finished([tmp_path])), "paper")
    first = dict(zip(table.head, table.body[0], strict=True))
    assert first["UNI (paper)"] == "-inf"
    assert (first["seconds"], first["seconds (paper)"]) == ("2.00", "25.76")
    assert first["UNI"] == "-", "was not measured"
