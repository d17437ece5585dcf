"""
`python -m benchmarks.detection.smaller_library FILE evaluate …`: the command `phospho` without a file of the library.

What the library knows of a domain's own trade is the difference; `benchmarks.detection --without FILE` runs it.
"""

from __future__ import annotations

import functools
import sys

from phospho_cli import main as phospho
from phospho_workers.detection.semantic import library


def main() -> None:
    """Run the command without the file that the first argument names."""
    name, *arguments = sys.argv[1:]
    whole, smaller = library.build(), library.build({name})
    if len(smaller.names) == len(whole.names):
        raise SystemExit(f"the library has no file {name!r}")
    vars(library)["_loaded"] = functools.cache(lambda: smaller)
    phospho(arguments)


if __name__ == "__main__":
    main()
