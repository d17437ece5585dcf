"""The public names, the cost of importing them, and the settings that are refused."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import shutil
import subprocess
import sys
import textwrap
import time
from importlib import metadata
from pathlib import Path

import pytest

import phospho

PACKAGE = Path(phospho.__file__).parent

# Public in the seeds, but not in `__all__`: data that changes, and submodules.
MODULE_DATA = ("log_queue", "consumer", "latest_task_id", "latest_session_id", "logger")
SUBMODULES = (
    "sessions",
    "tasks",
    "config",
    "models",
    "client",
    "extractor",
    "utils",
    "collection",
    "testing",
    "integrations",
    "lab",
)


def test_package_has_only_imports_and_all() -> None:
    body = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8")).body
    docstring, *imports, exported = body
    for node in imports:
        if isinstance(node, ast.If):
            assert ast.unparse(node.test) == "TYPE_CHECKING"
            imports = [*imports, *node.body, *node.orelse]

    assert isinstance(docstring, ast.Expr)
    assert all(isinstance(node, (ast.ImportFrom, ast.If)) for node in imports)
    assert isinstance(exported, ast.Assign)
    assert ast.unparse(exported.targets[0]) == "__all__"


def test_dir_lists_module_data_and_submodules() -> None:
    assert {*MODULE_DATA, *SUBMODULES, *phospho.__all__, "PhosphoTest", "__version__"} <= set(dir(phospho))


def test_all_is_sorted_and_complete() -> None:
    names = set(vars(phospho)) - set(SUBMODULES) - {"TYPE_CHECKING"}
    public = {name for name in names if not name.startswith("_") and not importlib.util.find_spec(f"phospho.{name}")}

    assert phospho.__all__ == sorted(phospho.__all__)
    assert public | {"_log_single_event", "_wrap", "_wrap_iterable"} == set(phospho.__all__)


@pytest.mark.parametrize("name", MODULE_DATA)
def test_module_data_exist_before_init(name: str) -> None:
    assert hasattr(phospho, name)


@pytest.mark.parametrize("name", SUBMODULES)
def test_submodule_is_importable_and_an_attribute(name: str) -> None:
    module = importlib.import_module(f"phospho.{name}")

    assert getattr(phospho, name) is module
    frameworks = ("Langchai", "LiteLLM", "llama")
    assert all(hasattr(module, name) for name in module.__all__ if not any(word in name for word in frameworks))


def test_utils_functions_work_as_upstream() -> None:
    from phospho import utils

    assert utils.MutableGenerator is phospho.MutableGenerator
    assert utils.filter_nonjsonable_keys({"a": 1, "b": object()}) == {"a": 1}
    assert utils.convert_content_to_loggable_content({"a": (1, 2)}) == {"a": [1, 2]}
    assert utils.generate_uuid("file_").startswith("file_")
    assert abs(utils.generate_timestamp() - time.time()) < 5
    assert utils.generate_version_id()[:8].isdigit()


def test_unknown_name_raises_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'lgo'"):
        phospho.lgo  # noqa: B018


def test_version_is_that_of_distribution() -> None:
    assert metadata.version("phospho-sdk") == phospho.__version__


def test_import_needs_only_standard_library_and_starts_nothing(tmp_path: Path) -> None:
    """The package is alone in a folder, and Python sees neither the environment nor installed packages."""
    shutil.copytree(PACKAGE, tmp_path / "phospho", ignore=shutil.ignore_patterns("__pycache__"))
    program = f"""
        import sys, threading
        sys.path.insert(0, {str(tmp_path)!r})
        import phospho
        assert phospho.__file__.startswith({str(tmp_path)!r})
        print(threading.active_count(), sorted({{"ssl", "http.client", "asyncio", "inspect"}} & set(sys.modules)))
    """
    command = [sys.executable, "-I", "-S", "-c", textwrap.dedent(program)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout

    assert printed == "1 []\n"


def test_settings_repr_hides_key() -> None:
    client = phospho.Client(api_key="ph_secret")

    assert "ph_secret" not in repr(client)
    assert "ph_secret" not in repr(client.settings)


@pytest.mark.parametrize("base_url", ["localhost:8420", "ftp://server", " "])
def test_invalid_base_url_raises_config_error(base_url: str) -> None:
    with pytest.raises(phospho.ConfigError, match="base_url"):
        phospho.init(base_url=base_url)


def test_kafka_without_confluent_kafka_names_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)

    with pytest.raises(phospho.ConfigError, match="pip install confluent-kafka"):
        phospho.init(kafka="127.0.0.1:9092", project_id="p1")


def test_source_runs_on_python_39() -> None:
    vermin = Path(sys.executable).with_name("vermin")
    if not vermin.exists():
        pytest.skip("needs vermin, which finds the oldest Python that the source runs on")
    sources = [str(path) for path in PACKAGE.rglob("*.py")]

    checked = subprocess.run(
        [str(vermin), "--no-tips", "--target=3.9-", *sources], capture_output=True, text=True, check=False, timeout=60
    )

    assert checked.returncode == 0, checked.stdout


def test_ids_are_uuid7_and_sort_by_time() -> None:
    import uuid

    from phospho._ids import new_id

    first = new_id()
    time.sleep(0.002)
    second = new_id()
    ids = [uuid.UUID(new_id()) for _ in range(1000)]

    assert first < second
    assert {(made.version, made.variant) for made in ids} == {(7, uuid.RFC_4122)}
    assert len(set(ids)) == 1000
    assert abs((ids[0].int >> 80) / 1000 - time.time()) < 5


@pytest.mark.parametrize(("attempts_before", "bound_s"), [(0, 0.5), (1, 1.0), (3, 4.0), (30, 30.0), (10_000, 30.0)])
def test_retry_delay_is_random_below_doubling_limit(attempts_before: int, bound_s: float) -> None:
    waits = [phospho.RetryPolicy().delay_s(attempts_before) for _ in range(500)]

    assert 0 <= min(waits) < bound_s * 0.1
    assert bound_s * 0.9 < max(waits) <= bound_s


@pytest.mark.parametrize("api_key", ["ph_secret\r\nX-Evil: 1", "ph_secret \u00e9", "ph secret"])
def test_invalid_key_raises_config_error_that_hides_it(api_key: str) -> None:
    with pytest.raises(phospho.ConfigError) as caught:
        phospho.Client(api_key=api_key)

    assert "secret" not in str(caught.value)
