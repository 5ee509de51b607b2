"""Runs read, merged into rows, ordered and the best marked."""

import pytest
from reporting import write_run

from uncle_jax.config import as_dict
from uncle_jax.errors import UncleError
from uncle_jax.presets import preset
from uncle_jax.report.compare import REFERENCES, SHOWN, best, changes, groups, label_of, table_of
from uncle_jax.report.results import read_run
from uncle_jax.requests import TABLE_4

CHANGED = {"backbone": "thin", "noise": "norm", "trunk": [8, 16]}


def read(*folders):
    return groups(run for folder in folders for run in read_run(folder)[0])


def test_metrics_are_computed_from_the_csv(tmp_path):
    (group,) = read(write_run(tmp_path, seeds=(0, 4), ra=80, fa=12, spill=0.5, relapse=3))
    (row,) = group.rows
    assert row.mean_std("RA") == pytest.approx((80.5, 0.5**0.5))
    assert row.mean_std("FA") == pytest.approx((12, 0))
    assert row.mean_std("spill") == pytest.approx((0.5, 0))
    assert row.mean_std("relapse") == pytest.approx((3, 0))
    assert row.mean_std("relapse_signed") == pytest.approx((-3, 0))
    assert row.seeds == "0 4"
    assert (row.time("unlearn_seconds"), row.time("wall_seconds")) == (2, 60)


def test_one_seed_has_no_std(tmp_path):
    (group,) = read(write_run(tmp_path))
    assert group.rows[0].mean_std("RA") == (90, None)


def test_work_directories_of_one_row_are_merged_by_seed(tmp_path):
    one = write_run(tmp_path / "a", seeds=(5,), ra=90, summary={"unlearn_seconds": 4.0})
    two = write_run(tmp_path / "b", seeds=(0, 1), ra=80, summary={"wall_seconds": 300.0})
    (group,) = read(one, two)
    (row,) = group.rows
    assert row.seeds == "0 1 5"
    assert row.mean_std("RA")[0] == pytest.approx((80 + 81 + 90) / 3)
    assert row.time("unlearn_seconds") == pytest.approx((4 + 2 + 2) / 3)
    assert row.time("wall_seconds") == pytest.approx((60 + 150 + 150) / 3)


def test_older_runs_merge_with_those_that_tell_their_changes(tmp_path):
    new = {"changes": {"noise": "norm"}, "reads": "none", "settings": None}
    one = write_run(tmp_path / "a", config={"noise": "norm"})
    two = write_run(tmp_path / "b", seeds=(1,), config={"noise": "norm"}, told=new)
    (group,) = read(one, two)
    (row,) = group.rows
    assert (row.label, row.reads, row.seeds) == ("uncle noise=norm", "nothing", "0 1")


@pytest.mark.parametrize("method", ["uncle", "refit", "hnet"])
def test_runs_older_than_a_setting_merge_with_those_that_tell_it(tmp_path, method):
    told = as_dict(preset("cifar100", "laptop").uncle)
    older = {key: value for key, value in told.items() if key not in ("hold", "dead")}
    runs = [
        write_run(tmp_path / str(seed), method, (seed,), told={"changes": {}, "settings": settings})
        for seed, settings in enumerate((older, told))
    ]
    (group,) = read(*runs)
    assert [(row.label, row.seeds) for row in group.rows] == [(method, "0 1")]


def test_the_same_seed_twice_names_both_folders(tmp_path):
    one, two = write_run(tmp_path / "a"), write_run(tmp_path / "b")
    with pytest.raises(UncleError) as error:
        read(one, two)
    assert str(one / "seed0") in str(error.value)
    assert str(two / "seed0") in str(error.value)


@pytest.mark.parametrize(
    ("told", "config"),
    [
        ({"method": "scrub"}, {}),
        ({"settings": {"alpha": 2}}, {}),
        ({"changes": {"alpha": 2}}, {}),
        ({"code": {"sha256": "abcdefgh"}}, {}),
        ({}, {"beta": 5.0}),
        ({"changes": {}}, {"beta": 5.0}),  # the preset was another then
    ],
)
def test_other_settings_are_other_rows(tmp_path, told, config):
    one = write_run(tmp_path / "a")
    two = write_run(tmp_path / "b", told=told, config=config)
    (group,) = read(one, two)
    assert len({row.label for row in group.rows}) == 2


@pytest.mark.parametrize(
    ("told", "requests"),
    [({"preset": "own"}, None), ({"remarks": ["stood in"]}, None), ({}, "L0 L1 U1")],
)
def test_what_cannot_be_compared_is_another_group(tmp_path, told, requests):
    one = write_run(tmp_path / "a")
    two = write_run(tmp_path / "b", told=told, requests=requests or "L0 L1 U0 L2")
    assert [len(group.rows) for group in read(one, two)] == [1, 1]


def test_other_data_of_one_name_are_another_group(tmp_path):
    told = [{"data": {"sha256": sha, "root": str(tmp_path)}} for sha in "aab"]
    runs = [write_run(tmp_path / str(i), seeds=(i,), told=told[i]) for i in range(3)]
    found = read(*runs)
    assert [[row.seeds for row in group.rows] for group in found] == [["0 1"], ["2"]]
    assert len({group.title for group in found}) == 2
    (alone,) = read(*runs[:2])
    assert alone.title == "cifar100, preset laptop, L0 L1 U0 L2"


def test_rows_with_one_label_are_told_apart(tmp_path):
    given = {"changes": {}}
    one = write_run(tmp_path / "a", told=given | {"settings": {"alpha": 2.5}})
    two = write_run(tmp_path / "b", told=given | {"settings": {"alpha": 3, "new": True}})
    (group,) = read(one, two)
    assert [row.label for row in group.rows] == [
        "uncle alpha=2.5 new=absent",
        "uncle alpha=3 new=true",
    ]


def test_changes_of_a_run(tmp_path):
    usual = preset("cifar100", "paper")
    config = as_dict(usual.config) | as_dict(usual.uncle) | CHANGED
    told = {"dataset": "cifar100", "preset": "paper", "config": config}
    assert changes(told) == {"backbone": "thin", "noise": "norm", "trunk": "8,16"}
    assert changes(told | {"changes": {"b": None, "a": 1.0}}) == {"a": "1", "b": "none"}
    older = {"changes": {"ssd.alpha": 30.0, "ssd.lr": 0.1}}
    assert changes(told | older) == {"alpha": "30", "ssd.lr": "0.1"}
    assert changes(told | {"dataset": "gone"}) == {}


def test_tuned_settings_are_a_row_of_their_own_and_never_the_papers(tmp_path):
    one = write_run(tmp_path / "a", "ssd", told={"changes": {}})
    two = write_run(tmp_path / "b", "ssd", told={"changes": {}, "source": "tuned"})
    (group,) = read(one, two)
    assert [row.label for row in group.rows] == ["ssd", "ssd tuned"]
    requests, paper = TABLE_4["cifar100"][0], {"source": "tuned"}
    one = write_run(tmp_path / "c", "ssd", name="paper", requests=requests)
    two = write_run(tmp_path / "d", "ssd", name="paper", requests=requests, told=paper)
    (group,) = read(one, two)
    assert [row.same for row in group.rows] == [True, False]


def test_the_order_of_rows(tmp_path):
    names = ["uncle", "zeta", "jit-hnet", "mine.py:alpha", "only-learning", "clpu", "ft", "uniclun"]
    folders = [write_run(tmp_path / str(i), method=name) for i, name in enumerate(names)]
    noisy = write_run(tmp_path / "noisy", config={"noise": "fixed"})
    (group,) = read(noisy, *folders)
    assert [row.label for row in group.rows] == [
        "ft", "uniclun", "clpu", "jit-hnet", "only-learning", "alpha", "zeta", "uncle",
        "uncle noise=fixed",
    ]  # fmt: skip


def test_the_best(tmp_path):
    folders = [
        write_run(tmp_path / "1", "scrub", ra=50, fa=9.0, spill=0.2, relapse=1),
        write_run(tmp_path / "2", "salun", ra=50.001, fa=11.5, spill=0.1, relapse=0.5),
        write_run(tmp_path / "3", "uncle", ra=40, fa=10.9, spill=3, relapse=2),
        *(
            write_run(tmp_path / name, name, ra=99, fa=10, spill=0, relapse=0)
            for name in REFERENCES
        ),
    ]
    (group,) = read(*folders)
    assert best(group, SHOWN) == {
        ("scrub", "RA"),  # equal as printed
        ("salun", "RA"),
        ("uncle", "FA"),
        ("salun", "spill"),
        ("salun", "relapse"),
    }
    assert best(group, SHOWN, rank=2) == {  # none of RA: two are the best
        ("scrub", "FA"),
        ("scrub", "spill"),
        ("scrub", "relapse"),
    }


def test_nothing_is_best_alone_or_without_chance(tmp_path):
    (group,) = read(write_run(tmp_path / "a"), write_run(tmp_path / "b", "ft"))
    assert best(group, SHOWN) == set()
    unknown = {"chance": None}
    (group,) = read(
        write_run(tmp_path / "c", summary=unknown),
        write_run(tmp_path / "d", "scrub", ra=1, summary=unknown),
    )
    assert ("uncle", "RA") in best(group, SHOWN)
    assert "FA" not in {metric for _, metric in best(group, SHOWN)}


def test_fa_is_held_against_each_unlearned_tasks_own_chance(tmp_path):
    """Two classes in task 0, ten in the others; and not the mean of tasks apart on both sides."""
    told = {"chance": {"0": 50.0, "1": 10.0, "2": 10.0}}
    at_chance = write_run(tmp_path / "a", "scrub", fa=50.0, told=told)
    knows = write_run(tmp_path / "b", "ssd", fa=35.0, told=told)
    (group,) = read(at_chance, knows)
    assert (group.chance("RA"), group.chance("FA")) == (10, 50)
    assert ("scrub", "FA") in best(group, ["FA"])
    assert ("ssd", "FA") not in best(group, ["FA"])
    note = "chance 10.0 of the retained tasks, 50.0 of the unlearned"
    assert note in table_of(group, SHOWN).notes[0]
    both = {"chance": {"0": 50.0, "1": 50.0, "2": 10.0}}
    apart = write_run(tmp_path / "c", "scrub", fa=40.0, requests="L0 L1 L2 U0 U1", told=both)
    path = apart / "seed0" / "metrics.csv"  # 40 and 60: FA is 50, and both are known
    path.write_text(
        path.read_text().replace("4,U,1,1,test,accuracy,40", "4,U,1,1,test,accuracy,60")
    )
    near = write_run(tmp_path / "d", "ssd", fa=48.0, requests="L0 L1 L2 U0 U1", told=both)
    (group,) = read(apart, near)
    assert best(group, ["FA"]) == {("ssd", "FA")}


def test_a_broken_network_is_best_at_nothing(tmp_path):
    broken = write_run(tmp_path / "a", "scrub", ra=13.0, fa=10.0, spill=0.0, relapse=0.0)
    two = [write_run(tmp_path / n, n, ra=80.0, fa=12.0, relapse=1.0) for n in ("ssd", "uncle")]
    (group,) = read(broken, *two)
    assert not any(label == "scrub" for label, _ in best(group, SHOWN))
    assert "RA near chance, so never best: scrub" in table_of(group, SHOWN).notes
    weak = write_run(tmp_path / "b", "scrub", ra=15.0, fa=10.0, seeds=(1,))
    (group,) = read(weak, *two)
    assert ("scrub", "FA") in best(group, SHOWN)


def test_clpu_has_no_fa_and_no_relapse(tmp_path):
    (group,) = read(write_run(tmp_path, "clpu"))
    table = table_of(group, SHOWN)
    line = dict(zip(table.head, table.body[0], strict=True))
    assert (line["RA"], line["FA"], line["relapse"], line["spill"]) == ("90.00", "-", "-", "0.00")
    assert any(note.startswith("clpu: ") for note in table.notes)


def test_undefined_metrics_and_times_are_a_dash(tmp_path):
    (group,) = read(write_run(tmp_path, requests="L0 L1", summary={"unlearn_seconds": None}))
    table = table_of(group, SHOWN)
    line = dict(zip(table.head, table.body[0], strict=True))
    assert [line[name] for name in ("FA", "spill", "relapse", "s/unlearning")] == ["-"] * 4


def test_the_paper_stands_beside_its_own_setting_only(tmp_path):
    asked = TABLE_4["cifar100"][0]
    theirs = write_run(tmp_path / "a", requests=asked, name="paper")
    changed = write_run(tmp_path / "b", "scrub", requests=asked, name="paper", config={"width": 9})
    remarked = write_run(tmp_path / "c", requests=asked, name="paper", told={"remarks": ["other"]})
    laptop = write_run(tmp_path / "d", requests=asked)

    (group,) = read(theirs, changed)
    table = table_of(group, SHOWN)
    at = table.head.index("RA (paper)")
    assert table.head[at - 1] == "RA"
    assert [line[at] for line in table.body] == ["-", "62.65 ± 3.85"]
    (group,) = read(remarked)
    assert "RA (paper)" not in table_of(group, SHOWN).head
    (group,) = read(laptop)
    assert "RA (paper)" not in table_of(group, SHOWN).head
    table = table_of(group, SHOWN, paper_anyway=True)
    line = dict(zip(table.head, table.body[0], strict=True))
    assert (line["spill (paper)"], line["s/unlearning (paper)"]) == ("0.64", "41.70")
    assert any("another setting" in note for note in table.notes)


def test_times_of_different_machines_are_told(tmp_path):
    cpu = {"device": {"platform": "cpu", "kind": "cpu", "cpus": 2}}
    gpu = {"device": {"platform": "gpu", "kind": "H100", "cpus": 8}}
    (group,) = read(
        write_run(tmp_path / "a", told=cpu), write_run(tmp_path / "b", "scrub", told=gpu)
    )
    assert "times are from different machines: H100, cpu x2" in table_of(group, SHOWN).notes


def test_a_network_that_answers_nan_is_marked_and_never_best(tmp_path):
    good = write_run(tmp_path / "1", "salun", ra=50, fa=30.0)
    other = write_run(tmp_path / "2", "scrub", ra=40, fa=40.0)
    ruined = write_run(tmp_path / "3", "ssd", ra=99, fa=float("nan"))
    (group,) = read(good, other, ruined)
    marked = best(group, SHOWN)
    assert {label for label, _ in marked} <= {"salun", "scrub"}
    assert ("salun", "RA") in marked
    table = table_of(group, SHOWN)
    assert "answers not finite (NaN, infinite), so never best: ssd" in table.notes
    line = dict(zip(table.head, next(x for x in table.body if x[0] == "ssd"), strict=True))
    assert line["FA"] == "-"


def test_a_papers_label_is_a_title_without_the_papers_requests():
    for title, label in {
        "cifar100, preset laptop, sequence 1: L1 L0 U1": "cifar100, preset laptop, sequence 1",
        "digits:12, preset laptop, L6 ... (200 requests)": None,
        "npz:FOLDER, preset laptop, L0": None,
        "a table: of something": "a table",
    }.items():
        assert label_of(title) == (label or title)
