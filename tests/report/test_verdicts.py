"""Verdicts of audits, and how they are told."""

import dataclasses
import json

import numpy as np
from reporting import add_findings, audited_rows, probes, write_audit, write_run

from uncle_jax.evaluation.audit.verdict import BLIND, LEAK
from uncle_jax.report import audit as report
from uncle_jax.report import verdicts
from uncle_jax.report.formats import as_markdown
from uncle_jax.report.measures import measured
from uncle_jax.report.results import read_run


def test_what_was_not_finite_is_told_as_such(tmp_path):
    (one,) = audited_rows(tmp_path)
    broken = {
        s: lambda seed, v=v: {"accuracy": v}
        for s, v in (("run", [None, None]), ("never", [9.0, 9.0]), ("kept", [95.0, 90.0]))
    }
    add_findings(one, "rounding", broken)
    line = next(x for x in verdicts.verdict_table(one).body if x[0] == "rounded, best (%)")
    assert line[-1] == BLIND
    assert line[1] == line[4] == "-"


def test_one_row_has_a_line_an_attack_and_several_a_column_each(tmp_path):
    (one,) = audited_rows(tmp_path)
    add_findings(one, "representation", probes(94.0, 80.0, 97.0))
    (table, *_) = verdicts.tables([one])
    assert table.head[-1] == "verdict"
    line = next(x for x in table.body if x[0] == "linear probe, last layer (%)")
    assert line[-1] == LEAK
    assert line[4].startswith("+15.0 [12.5, 17.5]")
    assert "leak by linear probe" in table.notes[-1]
    other = one._replace(row=dataclasses.replace(one.row, method="other"))
    (table, *_) = verdicts.tables([one, other])
    assert len(table.head) == 3
    line = next(x for x in table.body if x[0] == "linear probe, last layer (%)")
    assert line[1].startswith("+15.0 [12.5, 17.5]; +17.0 [17.0, 17.0]; leak")
    assert table.body[-1][0] == "all, corrected (Holm)"
    assert as_markdown(table)


def test_attacks_that_can_say_nothing_do_not_count(tmp_path):
    (one,) = audited_rows(tmp_path)
    add_findings(one, "representation", probes(94.0, 80.0, 97.0))
    add_findings(one, "margins", {s: _margins(s) for s in ("run", "never", "kept")})
    rows = measured(one)
    assert sum(row.few for row in rows) == 2
    assert verdicts.leaks(rows)[1] == len(rows) - 2
    assert verdicts.leaks([row for row in rows if row.few]) == ([], 0)


def _margins(state):
    middle = {"run": 0.0, "never": 0.0, "kept": 5.0}[state]
    told = {"retained": {"train": 90.0, "test": 90.0}}

    def of(seed):
        rng = np.random.default_rng([seed, len(state)])
        return told | {k: (middle + rng.normal(size=20)).tolist() for k in ("members", "others")}

    return of


def test_tables_are_of_the_attacks_that_were_made(tmp_path):
    (one,) = audited_rows(tmp_path)
    titles = [table.title.partition(":")[0] for table in verdicts.tables([one])]
    assert titles == ["embedding search", "relearning", "what it costs"]
    for audit in one.audits.values():
        audit["found"][:] = [f for f in audit["found"] if f["piece"]["attack"] == "relearning"]
    titles = [table.title.partition(":")[0] for table in verdicts.tables([one])]
    assert titles == ["relearning", "what it costs"]
    assert json.dumps(one.audits[0])


def test_what_cannot_be_compared_stands_in_tables_of_its_own(tmp_path):
    runs = []
    for name, requests in (("a", "L0 L1 U0 L2"), ("b", "L1 L0 U0")):
        folder = write_audit(write_run(tmp_path / name, requests=requests))
        runs += read_run(folder)[0]
    tables = verdicts.tables(report.audited(runs))
    titles = [table.title for table in tables if table.title.startswith("relearning")]
    where = "relearning: cifar100, preset laptop, "
    assert titles == [where + "L0 L1 U0 L2", where + "L1 L0 U0"]
