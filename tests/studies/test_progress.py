"""What is run of the paper, and what is not."""

from reporting import write_run

from uncle_jax.studies.finished import Finished
from uncle_jax.studies.items import ITEMS
from uncle_jax.studies.progress import Asked, parts, to_run, verdict
from uncle_jax.studies.table import table_of

SEQUENCE = "L1 L0 U1 L5 L8 L9 L7 U0 L2 L3 L4 U8 U3 U5 L6"
TUNED = {"source": "tuned", "changes": {}}


def test_done_and_left(tmp_path):
    more = {"dataset": "permuted-digits", "requests": SEQUENCE, "told": TUNED}
    write_run(tmp_path / "a", "uncle", seeds=(0, 1), **more)
    write_run(tmp_path / "b", "only-learning", ra=85.0, **more)
    asked = Asked("laptop", (0, 1), ("permuted-digits",))
    (part,) = parts([ITEMS["table 3"]], asked, Finished([tmp_path]))
    assert part.done == (3, 4)
    assert part.run
    assert [(spec.method, spec.seeds) for spec in part.left] == [("only-learning", (1,))]
    ((words, told),) = part.told
    assert words.startswith("unlearning old tasks")
    assert told.verdict == "one seed only"
    assert verdict([part]) == "one seed only"


def test_what_tables_share_is_run_once_and_the_cheapest_first(tmp_path):
    items = [ITEMS[name] for name in ("table 20", "table 3", "figure 7", "table 14")]
    known = parts(items, Asked("laptop", (0,)), Finished([tmp_path]))
    left = to_run(known)
    assert len({spec.name for spec in left}) == len(left) < sum(len(p.left) for p in known)
    order = list(dict.fromkeys(spec.dataset for spec in left))
    assert order[:2] == ["permuted-digits", "five-tasks"]
    assert verdict(known) == "not run"


def test_a_figure_without_a_claim(tmp_path):
    known = parts([ITEMS["figure 6"]], Asked("laptop", (0,)), Finished([tmp_path]))
    assert verdict(known) == "not run"
    write_run(
        tmp_path / "a",
        dataset="tinyimagenet",
        requests=" ".join(map(str, known[0].lines[0][1].requests)),
    )
    known = parts([ITEMS["figure 6"]], Asked("laptop", (0,)), Finished([tmp_path]))
    assert verdict(known) == "no claim"


def test_without_tuned_runs_the_authors_are_shown_but_held_against_nobody(tmp_path):
    more = {"dataset": "permuted-digits", "requests": SEQUENCE, "seeds": (0, 1)}
    write_run(tmp_path / "a", "uncle", told=TUNED, **more)
    write_run(tmp_path / "b", "only-learning", ra=85.0, **more)
    asked = Asked("laptop", (0, 1), ("permuted-digits",))
    (part,) = parts([ITEMS["table 3"]], asked, Finished([tmp_path]))
    assert [row.source for *_, row in part.lines] == ["authors", "tuned"]
    assert part.done == (2, 4)
    ((_, told),) = part.told
    assert told.verdict == "not run"
    body = table_of(part.item.study, part.lines, "laptop").body
    assert [line[1] for line in body] == ["learning only (authors')", "UnCLe"]
