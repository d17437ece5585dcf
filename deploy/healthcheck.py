"""Exit with 0 when a page of the process in this container answers 200, otherwise with 1 and the reason.

Usage: python healthcheck.py PORT PATH, for example 9100 /readyz. The slim image has no curl.
"""

from __future__ import annotations

import http.client
import sys

TIMEOUT_S = 4.0


def problem(port: int, path: str) -> str | None:
    """What is wrong with the page, or None when it answers 200 within TIMEOUT_S."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read(2000).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        connection.close()
    return None if response.status == 200 else f"{response.status} {body}"


if __name__ == "__main__":
    sys.exit(problem(int(sys.argv[1]), sys.argv[2]))
