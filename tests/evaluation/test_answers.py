from uncle_jax.evaluation.answers import Answer, Run
from uncle_jax.evaluation.metrics import all_metrics
from uncle_jax.requests import parse


def test_a_runs_metrics_are_those_of_its_answers_in_their_order():
    requests = parse("L0 L1 U0")
    accuracy = [{0: 90.0}, {0: 80.0, 1: 70.0}, {0: 10.0, 1: 66.0}]
    answers = [
        Answer(i, request, seen, seconds=1.0, compile_seconds=0.0)
        for i, (request, seen) in enumerate(zip(requests, accuracy, strict=True))
    ]
    found = Run(None, tuple(answers)).metrics
    assert (found["RA"], found["FA"], found["spill"]) == (66, 10, 4)
    assert found.keys() == all_metrics(requests, accuracy).keys()
