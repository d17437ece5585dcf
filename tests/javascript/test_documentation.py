"""The README's code and the examples, run unchanged against a server, and their output."""

from __future__ import annotations

import re
from typing import Any

import pytest

from fixtures.node import PACKAGE, App

README = (PACKAGE / "README.md").read_text(encoding="utf-8")
CODE_AND_OUTPUT = re.compile(r"```javascript\n(.*?)```(?:\n\n```text\n(.*?)```)?", re.DOTALL)
IMPORT = re.compile(r"^import .*\n", re.MULTILINE)
EXAMPLES = PACKAGE / "examples"

PRINTED = {
    "01_log.mjs": "sent 2, rejected 0, pending 0\n",
    "02_conversation.mjs": "Hello -> Hi!\nWhat is 2+2? -> 4\nThanks -> Welcome!\n",
    "03_promise.mjs": "Hello!\n",
    "04_stream.mjs": "Six times seven.\n",
    "05_wrap.mjs": "HELLO\nhello\nH-e-l-l-o\n",
    "06_client.mjs": "true\n",
    "07_trouble.mjs": (
        "event … is dropped (queue_full)\n2 event(s) will be sent again (no_answer)\npending 2, dropped 1\n"
        "2 event(s) are lost at the end of the process\n"
    ),
    "08_testing.mjs": "passed\n",
    "09_edge.mjs": "Hello! true\n",
    "10_commonjs.cjs": "sent 1\n",
    "11_ai_sdk.mjs": "It is sunny today!\n",
}
TASKS_LOGGED = {
    "01_log.mjs": 1,
    "02_conversation.mjs": 3,
    "03_promise.mjs": 1,
    "04_stream.mjs": 1,
    "05_wrap.mjs": 3,
    "06_client.mjs": 2,
    "09_edge.mjs": 1,
    "10_commonjs.cjs": 1,
    "11_ai_sdk.mjs": 1,
}


def test_readme_code_runs_and_prints_its_output(app: App, logged: Any) -> None:
    blocks = CODE_AND_OUTPUT.findall(README)
    code = (
        "\n".join(block for block, _ in blocks).replace("ph_your_api_key", "api_key").replace("export default", "void")
    )
    printed = app.run('import { phospho, Phospho, RecordingTransport } from "phospho-sdk";\n' + IMPORT.sub("", code))

    assert len(blocks) == 7
    assert printed == "".join(output for _, output in blocks)
    # All but the one that is recorded, and the handler, which is not called.
    assert len(logged()) == 5


def test_examples_are_all_tested_and_listed() -> None:
    names = sorted(path.name for path in EXAMPLES.glob("*.*js"))

    assert names == sorted(PRINTED)
    index = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert all(f"({name})" in index for name in names)


@pytest.mark.parametrize("name", sorted(PRINTED))
def test_example_prints_expected_output_and_logs_tasks(app: App, logged: Any, name: str) -> None:
    printed = app.run((EXAMPLES / name).read_text(encoding="utf-8"), name)

    assert printed == PRINTED[name]
    assert len(logged()) == TASKS_LOGGED.get(name, 0)
