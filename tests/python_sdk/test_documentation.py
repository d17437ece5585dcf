"""The README's code and the examples, run unchanged against a server on loopback, and their output."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import phospho

ROOT = next((folder for folder in Path(__file__).parents if (folder / "producers" / "python").is_dir()), None)
if ROOT is None:
    pytest.skip("needs the source folder of the SDK beside the tests", allow_module_level=True)
FOLDER = ROOT / "producers" / "python"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
CODE_AND_OUTPUT = re.compile(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", re.DOTALL)

PRINTED = {
    "01_log.py": "sent 2, rejected 0, pending 0\n",
    "02_conversation.py": "Hello -> Hi!\nWhat is 2+2? -> 4\nThanks -> Welcome!\n",
    "03_stream.py": "Six times seven.\n",
    "04_wrap.py": "HELLO\nhello\nH-e-l-l-o\n",
    "05_trace.py": "True\n",
    "06_asyncio.py": "sent 30\n",
    "07_crash_safe.py": "True\n",
    "08_own_transport.py": "1\n",
    "09_testing.py": "passed\n",
    "10_lab.py": (
        "I want my money back for AB-1234! -> refund, order number\n"
        "This service makes me so angry. -> angry\n"
        "Can you tell me the time? -> question\n"
    ),
    "11_logging.py": "1\n",
}
# test_frameworks.py runs these with the real libraries.
OF_FRAMEWORKS = ["12_litellm.py", "13_llama_index.py"]
LOGS_SENT = {
    "01_log.py": 1,
    "02_conversation.py": 3,
    "03_stream.py": 1,
    "04_wrap.py": 3,
    "05_trace.py": 2,
    "06_asyncio.py": 30,
}


def test_readme_code_runs_and_prints_its_output(
    server: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PHOSPHO_BASE_URL", server.url)
    blocks = CODE_AND_OUTPUT.findall(README)
    names: dict[str, Any] = {}

    for code, printed in blocks:
        exec(compile(code, "README.md", "exec"), names)
        assert capsys.readouterr().out == printed

    assert len(blocks) >= 6
    assert phospho.flush().is_complete
    assert phospho.stats().errors == {}
    assert [log["output"] for log in server.logs] == ["It is sunny today!", "Hello!", "Hello!", "42", "Three."]
    assert len(server.feedback) == 1


def test_examples_are_all_tested_and_listed() -> None:
    names = sorted(path.name for path in (FOLDER / "examples").glob("*.py"))

    assert names == sorted([*PRINTED, *OF_FRAMEWORKS])
    index = (FOLDER / "examples" / "README.md").read_text(encoding="utf-8")
    assert all(f"({name})" in index for name in names)


@pytest.mark.parametrize("name", sorted(PRINTED))
def test_example_prints_expected_output(server: Any, name: str) -> None:
    if name == "10_lab.py":
        pytest.importorskip("phospho_workers", reason="runs the server's engines")
    environment = {**os.environ, "PHOSPHO_BASE_URL": server.url, "PHOSPHO_API_KEY": "ph_test"}

    finished = subprocess.run(
        [sys.executable, "-W", "error", str(FOLDER / "examples" / name)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout == PRINTED[name]
    assert len(server.logs) == LOGS_SENT.get(name, len(server.logs))
