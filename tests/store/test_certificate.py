import pytest

from uncle_jax.errors import UncleError
from uncle_jax.store import certificate


def entries(**more):
    asked = {
        "event": "durable", "id": "U3-2", "op": "U", "task": 3, "step": 2, "time": "then",
        "started": "before", "state_before": "aa", "state": "bb", "hash": "c" * 64,
        "accuracy_before": {"3": 97.0, "5": 96.0}, "accuracy": {"3": 10.0, "5": 95.5},
        "tasks": {"learned": [5, 6], "unlearned": [3]}, "history_kept": False,
        "procedure": {"method": "uncle", "iterations": 100},
        "erase": [["checkpoints/1", 12, 3456]],
    }  # fmt: skip
    erased = {"event": "erased", "id": "U3-2", "step": 2, "time": "later", "hash": "d" * 64}
    return [{**asked, **more}, erased]


def test_it_says_what_was_asked_done_measured_and_not_claimed():
    content = certificate.certify(entries(), "U3-2")
    assert content["request"] == {"id": "U3-2", "op": "U", "task": 3, "started": "before"}
    assert content["accuracy_percent"] == {
        "forgotten": {"before": 97.0, "after": 10.0},
        "retained": {
            "5": {"before": 96.0, "after": 95.5},
            "6": {"before": None, "after": None},
        },
    }
    page = certificate.text(content)
    for told in (
        "task 3 was unlearned (request U3-2)", "iterations 100", "97.00", "10.00", "95.50",
        "not measured", "checkpoints/1 (12 files, 3456 bytes)", "State before  aa", "Not claimed:",
    ):  # fmt: skip
        assert told in page
    assert "HISTORY" not in page
    assert len(page.splitlines()) < 60


def test_it_reads_as_it_was_written_whatever_is_known_since():
    first, second = (
        certificate.text(certificate.certify(entries(**edition), "U3-2"))
        for edition in ({}, {"edition": 2})
    )
    assert "brought back" not in first
    assert "brought back" in second
    assert certificate.EDITION == 3


@pytest.mark.parametrize("edition", [4, "2", None, [1]])
def test_an_edition_of_a_later_version_is_refused(edition):
    with pytest.raises(UncleError, match="edition"):
        certificate.certify(entries(edition=edition), "U3-2")


def test_kept_history_is_on_the_page():
    page = certificate.text(certificate.certify(entries(history_kept=True), "U3-2"))
    assert "HISTORY IS KEPT" in page


@pytest.mark.parametrize(
    "book",
    [
        entries()[:1],  # not erased yet
        entries(op="L"),
        entries(tasks={"learned": [3], "unlearned": []}),  # a method that does not unlearn
    ],
)
def test_only_a_finished_unlearning_gets_one(book, tmp_path):
    certificate.write(tmp_path, book)
    assert list(tmp_path.iterdir()) == []


def test_it_is_written_once_and_for_each(tmp_path):
    certificate.write(tmp_path, entries())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2.json", "2.txt"]
    (tmp_path / "2.txt").write_text("mine")
    certificate.write(tmp_path, entries())
    assert (tmp_path / "2.txt").read_text() == "mine"


def test_what_is_not_claimed_is_the_procedures_own():
    apart, inheriting, noise = (
        " ".join(certificate.not_claimed(3, procedure))
        for procedure in (
            {"method": "refit", "inherit": False},
            {"method": "refit", "inherit": True},
            {"method": "uncle"},
        )
    )
    assert "bit for bit" in apart
    assert "took over from it" in inheriting
    assert "48 of 48 starts" in noise
    assert "48 of 48 starts" not in apart + inheriting
    for text in (apart, inheriting, noise):
        assert "blocks of erased files" in text
    assert certificate.not_claimed(2, {"method": "uncle"}) == certificate.not_claimed(3, {})
