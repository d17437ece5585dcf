"""A client of its own process: posts batches of logs as fast as they are answered, or at a rate."""

from __future__ import annotations

import argparse
import http.client
import itertools
import sys
import threading
import time
from collections.abc import Iterator, Sequence

import orjson

from benchmarks.conversations import logs

_PATH = "/api/v1/events/batch"


def main() -> None:
    """Build every body, say `ready`, wait for a line, post, and print when it began, ended and what was taken."""
    options = _options()
    posts = _Posts(options, list(_bodies(options)))
    print("ready", flush=True)
    sys.stdin.readline()
    began_s, before_s = time.time(), time.process_time()
    accepted = posts.run()
    used_s = time.process_time() - before_s
    result = {"began_s": began_s, "ended_s": time.time(), "accepted": accepted, "cpu_s": used_s}
    print(orjson.dumps(result).decode(), flush=True)


class _Posts:
    """Threads with a connection each, that take bodies one after the other."""

    def __init__(self, options: argparse.Namespace, bodies: Sequence[bytes]) -> None:
        self._options = options
        self._bodies = bodies
        self._next = itertools.count()
        self._lock = threading.Lock()
        self._accepted = 0
        self._began_s = 0.0

    def run(self) -> int:
        """Post all bodies; return how many logs were taken."""
        self._began_s = time.monotonic()
        threads = [threading.Thread(target=self._post_all) for _ in range(self._options.connections)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self._accepted

    def _post_all(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._options.port, timeout=60)
        while (index := next(self._next)) < len(self._bodies):
            self._wait_for_turn(index)
            accepted = self._post(connection, self._bodies[index])
            with self._lock:
                self._accepted += accepted

    def _wait_for_turn(self, index: int) -> None:
        if self._options.rate:
            due_s = self._began_s + index * self._options.batch / self._options.rate
            time.sleep(max(0.0, due_s - time.monotonic()))

    def _post(self, connection: http.client.HTTPConnection, body: bytes) -> int:
        headers = {"Authorization": f"Bearer {self._options.key}", "Content-Type": "application/json"}
        while True:
            connection.request("POST", _PATH, body, headers)
            answer = connection.getresponse()
            document = orjson.loads(answer.read())
            if answer.status == 200:
                return int(document["accepted"])
            if answer.status not in (429, 503):
                raise RuntimeError(f"{answer.status}: {document}")
            time.sleep(float(answer.headers.get("Retry-After", 1)))


def _bodies(options: argparse.Namespace) -> Iterator[bytes]:
    events = logs(options.count, options.run)
    while batch := list(itertools.islice(events, options.batch)):
        yield orjson.dumps({"events": batch})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Post logs to a gateway.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--run", required=True, help="what the ids begin with")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--batch", type=int, default=500, help="logs a request")
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--rate", type=float, default=0.0, help="logs a second; 0: as fast as it can")
    return parser.parse_args()


if __name__ == "__main__":
    main()
