"""experiments/table.py as a user meets it."""

import csv
import io
import subprocess
import sys
from pathlib import Path

import pytest
from reporting import write_run

from uncle_jax.cli import table as command

SCRIPT = Path(__file__).resolve().parents[2] / "experiments" / "table.py"


@pytest.fixture(scope="module")
def table():
    return command


@pytest.fixture
def folders(tmp_path):
    """Two methods that are compared and a reference, the first over two seeds."""
    own = {"changes": {"buffer_size": 200}, "reads": "forget+retain"}
    return [
        str(write_run(tmp_path / "u", "uncle", (0, 1), ra=90, fa=10.5, spill=0.25)),
        str(write_run(tmp_path / "s", "scrub", ra=80, fa=12, relapse=3, told=own)),
        str(write_run(tmp_path / "f", "ft", ra=95, fa=70, told={"reads": "all retained data"})),
    ]


TERMINAL = """\
cifar100, preset laptop, L0 L1 U0 L2
method                 reads                              RA             FA         spill       relapse   s/unlearning  min/seed  seeds
ft                     all retained data       95.00          70.00          0.00          0.00                   2.00      1.00      0
scrub buffer_size=200  forgotten task, buffer  80.00          12.00          0.00*         3.00                   2.00      1.00      0
uncle                  nothing                 90.50 ± 0.71*  10.50 ± 0.00*  0.25 ± 0.00   0.00 ± 0.00*          2.00      1.00    0 1
"""  # noqa: E501

MARKDOWN = """\
### cifar100, preset laptop, L0 L1 U0 L2

| method | reads | RA | FA | spill | relapse | s/unlearning | min/seed | seeds |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| ft | all retained data | 95.00 | 70.00 | 0.00 | 0.00 | 2.00 | 1.00 | 0 |
| scrub buffer_size=200 | forgotten task, buffer | 80.00 | 12.00 | **0.00** | 3.00 | 2.00 | 1.00 | 0 |
| uncle | nothing | **90.50 ± 0.71** | **10.50 ± 0.00** | 0.25 ± 0.00 | **0.00 ± 0.00** | 2.00 | 1.00 | 0 1 |

- best marked: RA highest, FA nearest to chance by task, spill and relapse lowest; chance 10.0
- references, never marked best (they do not unlearn, see all retained data, keep a network a task, or are controls): ft
- inferred, where the originals are silent (docs/methods.md): ft: epochs, lr; scrub buffer_size=200: forget_batch, retain_batch; all on DER++: buffer_per_task, replay_batch, norm, forget_source
"""  # noqa: E501

LATEX = r"""% \usepackage{booktabs}
\begin{table}
  \centering
  \caption{cifar100, preset laptop, L0 L1 U0 L2. Mean $\pm$ sample standard deviation over seeds.}
  \label{tab:cifar100-preset-laptop-l0-l1-u0-l2}
  \begin{tabular}{llrrrrrrr}
    \toprule
    method & reads & RA & FA & spill & relapse & s/unlearning & min/seed & seeds \\
    \midrule
    ft & all retained data & 95.00 & 70.00 & 0.00 & 0.00 & 2.00 & 1.00 & 0 \\
    scrub buffer\_size=200 & forgotten task, buffer & \underline{80.00} & \underline{12.00} & \textbf{0.00} & \underline{3.00} & 2.00 & 1.00 & 0 \\
    uncle & nothing & \textbf{90.50 $\pm$ 0.71} & \textbf{10.50 $\pm$ 0.00} & \underline{0.25 $\pm$ 0.00} & \textbf{0.00 $\pm$ 0.00} & 2.00 & 1.00 & 0 1 \\
    \bottomrule
  \end{tabular}
  \par{\footnotesize best in bold, second best underlined}
  \par{\footnotesize best marked: RA highest, FA nearest to chance by task, spill and relapse lowest; chance 10.0}
  \par{\footnotesize references, never marked best (they do not unlearn, see all retained data, keep a network a task, or are controls): ft}
  \par{\footnotesize inferred, where the originals are silent (docs/methods.md): ft: epochs, lr; scrub buffer\_size=200: forget\_batch, retain\_batch; all on DER++: buffer\_per\_task, replay\_batch, norm, forget\_source}
\end{table}
"""  # noqa: E501


def test_markdown(table, folders, capsys):
    assert table.main([*folders, "--format", "markdown"]) == 0
    assert capsys.readouterr().out == MARKDOWN


def test_latex(table, folders, capsys):
    assert table.main([*folders, "--format", "latex"]) == 0
    assert capsys.readouterr().out == LATEX


def test_terminal_is_aligned(table, folders, capsys):
    assert table.main(folders) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[:5]] == [line.split() for line in TERMINAL.splitlines()]
    for metric, ends in (("RA", "90.50 ± 0.71*"), ("min/seed", "1.00"), ("seeds", "0 1")):
        assert lines[4].index(ends) + len(ends.rstrip("*")) == lines[1].index(metric) + len(metric)
    assert lines[2].index("all") == lines[3].index("forgotten") == lines[1].index("reads")


def test_csv_has_a_number_a_column(table, folders, capsys):
    assert table.main([*folders, "--format", "csv", "--all"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["method"] for row in rows] == ["ft", "scrub", "uncle"]
    assert (rows[1]["changes"], rows[1]["RA_std"], rows[1]["seeds"]) == ("buffer_size=200", "", "0")
    uncle = rows[2]
    assert (uncle["RA"], uncle["RA_std"], uncle["seeds"]) == ("90.5000", "0.7071", "0 1")
    assert (uncle["unlearn_seconds"], uncle["minutes_per_seed"]) == ("2.0000", "1.0000")
    assert {"spill_sum", "relapse_signed", "paper_RA"} <= uncle.keys()
    assert rows[1]["relapse_signed"] == "-3.0000"


def test_all_adds_columns(table, folders, capsys):
    table.main([*folders, "--all", "--format", "markdown"])
    assert "| spill | spill_sum | relapse | relapse_signed |" in capsys.readouterr().out


def test_two_work_directories_of_one_setting_are_one_row(table, tmp_path, capsys):
    folders = [str(write_run(tmp_path / str(seed), seeds=(seed,))) for seed in (3, 1)]
    assert table.main([*folders, "--format", "csv"]) == 0
    (row,) = csv.DictReader(capsys.readouterr().out.splitlines())
    assert (row["seeds"], row["minutes_per_seed"]) == ("1 3", "1.0000")


def test_groups_are_apart(table, tmp_path, capsys):
    one = write_run(tmp_path / "a")
    two = write_run(tmp_path / "b", told={"remarks": ["svhn | stood in"]})
    table.main([str(one), str(two), "--format", "markdown"])
    out = capsys.readouterr().out
    assert out.count("### cifar100, preset laptop") == 2
    assert "\n\n### " in out
    assert "- data: svhn | stood in" in out


def test_output_goes_to_a_file(table, folders, tmp_path, capsys):
    path = tmp_path / "TABLE.md"
    assert table.main([*folders, "--format", "markdown", "--output", str(path)]) == 0
    assert path.read_text(encoding="utf-8") == MARKDOWN
    assert capsys.readouterr().out == ""
    assert table.main([*folders, "--output", str(tmp_path / "no" / "where")]) == 2
    assert capsys.readouterr().err.startswith("error: there is no folder ")


def test_unfinished_runs_are_skipped(table, folders, tmp_path, capsys):
    half = write_run(tmp_path / "half", answered=3)
    assert table.main([*folders, str(half)]) == 0
    told = capsys.readouterr()
    assert told.err == f"skipped: {half / 'seed0'} is not finished\n"
    assert table.main([str(half)]) == 2
    assert capsys.readouterr().err.endswith("error: no run is finished yet\n")


@pytest.mark.parametrize(
    ("make", "args", "says"),
    [
        (False, [], "there is no folder"),
        (True, [], "is not a run"),
        (True, ["--format", "markdwn"], "did you mean 'markdown'?"),
    ],
)
def test_bad_input_is_one_line(table, tmp_path, capsys, make, args, says):
    folder = tmp_path / "runs"
    if make:
        folder.mkdir()
    assert table.main([str(folder), *args]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert says in told.err


def test_a_process_of_its_own_needs_no_jax(folders):
    code = (
        "import runpy, sys; sys.argv = sys.argv[1:]\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "assert not {'jax', 'flax', 'optax'} & sys.modules.keys()"
    )
    for args in (["--help"], folders):
        command = [sys.executable, "-c", code, str(SCRIPT), *args]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert "uncle" in done.stdout or "--format" in done.stdout


def test_a_missing_argument_is_one_line():
    done = subprocess.run(
        [sys.executable, str(SCRIPT)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_columns_are_those_asked_for(folders, capsys):
    assert command.main([*folders, "--columns", "RA, erosion_worst,UNI"]) == 0
    head = capsys.readouterr().out.splitlines()[1].split()
    assert head[2:6] == ["RA", "erosion_worst", "UNI", "s/unlearning"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("RA,erosoin", "unknown metric in --columns: 'erosoin'; did you mean 'erosion'"),
        ("RA,RA", "--columns must name metrics, each once, not 'RA,RA'"),
        (",", "--columns must name metrics, each once, not ','"),
    ],
)
def test_columns_that_there_are_not(folders, asked, message, capsys):
    assert command.main([*folders, "--columns", asked]) == 2
    assert message in capsys.readouterr().err


def test_differences_from_a_row_follow_the_table(table, folders, capsys):
    assert table.main([*folders, "--against", "uncle", "--columns", "RA"]) == 0
    out = capsys.readouterr().out
    assert out.index("L0 L1 U0 L2: less uncle") > out.index("chance 10.0")
    differences = out[out.index("less uncle") :].splitlines()
    assert [line.split() for line in differences[2:4]] == [
        ["ft", "0", "+5.00"], ["scrub", "buffer_size=200", "0", "-10.00"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--against", "uncel"], "did you mean 'uncle'?"),
        (["--against", "uncle", "--format", "csv"], "--against has no csv"),
    ],
)
def test_bad_input_to_against_is_one_line(table, folders, capsys, args, says):
    assert table.main([*folders, *args]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err


def test_the_published_file_is_what_the_command_makes(table, capsys):
    results = Path(__file__).resolve().parents[2] / "results"
    kinds = "tuned", "buffer", "authors", "studies"
    folders = [folder for kind in kinds for folder in sorted((results / kind).iterdir())]
    words = ["--format", "csv", "--all", "--paper"]
    assert table.main([*map(str, folders), *words]) == 0
    assert capsys.readouterr().out == (results / "results.csv").read_text(encoding="utf-8")
