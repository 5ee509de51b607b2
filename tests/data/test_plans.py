"""Which classes make a task."""

import pytest
from publishing import one_line

from uncle_jax.data.plans import read_tasks, task_plan
from uncle_jax.errors import UncleError


def test_a_task_plan_takes_so_many_classes_at_a_time():
    names = list("abcdefg")
    assert task_plan(names, 4, None) == [list("abcd"), list("efg")]
    assert task_plan(names, 10, None) == [names]


@pytest.mark.parametrize(
    ("classes_per_task", "tasks", "message"),
    [
        (3, None, "7 classes in tasks of 3 leave a task with a single class"),
        (1, None, "--classes-per-task must be 2 or more, not 1"),
        (0, None, "--classes-per-task must be 2 or more, not 0"),
        (10, [["a", "b"], ["c", "z"]], r"task 1 lists the unknown class 'z' \(allowed: a, b, c"),
        (10, [["a"]], "task 0 must list two classes or more"),
        (10, [["a", "b"], ["c", "c"]], "task 1 must list two classes or more, each once"),
    ],
)
def test_an_impossible_plan_is_told_in_a_line(classes_per_task, tasks, message):
    with pytest.raises(UncleError, match=message) as caught:
        task_plan(list("abcdefg"), classes_per_task, tasks)
    one_line(caught)


@pytest.mark.parametrize(
    "text", ["", "[[", "{}", "[]", '["a", "b"]', "[[1, 2]]", '{"a": ["b"]}', None]
)
def test_a_json_file_that_lists_no_tasks_is_named(tmp_path, text):
    path = tmp_path / "tasks.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UncleError, match=str(path)) as caught:
        read_tasks(path)
    one_line(caught)
