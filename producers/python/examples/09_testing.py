"""Test an app that logs: inside the block no event leaves the process."""

import phospho


@phospho.wrap
def my_app(question: str) -> str:
    return "42"


def test_my_app_logs_its_answers() -> None:
    with phospho.testing.recording() as sent:
        my_app("What is six times seven?")

    assert [(log["input"], log["output"]) for log in sent.logs] == [("What is six times seven?", "42")]


test_my_app_logs_its_answers()
print("passed")
