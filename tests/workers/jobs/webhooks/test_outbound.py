"""Requests to customers' addresses never reach this machine or its network, and end in time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from ipaddress import ip_network

import pytest

from phospho_workers.jobs.webhooks import outbound
from phospho_workers.jobs.webhooks.outbound import Outbound
from workers.jobs.receiver import Receiver, receiving

LOOPBACK = (ip_network("127.0.0.0/8"),)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]"])
def test_outbound_does_not_reach_loopback_by_any_name(receiver: Receiver, host: str) -> None:
    answer = Outbound().post(receiver.url.replace("127.0.0.1", host), {}, b"{}")
    assert (answer.status, receiver.received) == (0, [])
    assert answer.detail


def test_outbound_looks_a_name_up_once_and_checks_every_address(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: an answer that is checked, and another one that is used."""
    asked = []

    def resolve(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        asked.append(host)
        addresses = [["93.184.216.34", "127.0.0.1"], ["127.0.0.1"]][min(len(asked), 2) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(outbound.socket, "getaddrinfo", resolve)
    answer = Outbound().post(receiver.url.replace("127.0.0.1", "rebind.example"), {}, b"{}")
    assert (answer.status, receiver.received, asked) == (0, [], ["rebind.example"])
    assert "127.0.0.1" not in answer.detail


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Give every name these addresses; without any it is not known."""
    real = socket.getaddrinfo

    def resolve(host: str, port: int, *rest: int, **named: int) -> list[tuple[object, ...]]:
        if host.startswith("127."):
            return list(real(host, port, *rest, **named))
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(outbound.socket, "getaddrinfo", resolve)


def test_outbound_refuses_internal_and_unknown_names_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    details = []
    for addresses in ([], ["10.1.2.3"], ["169.254.169.254", "93.184.216.34"]):
        resolving(monkeypatch, *addresses)
        details.append(Outbound().post("https://vault.internal/", {}, b"{}").detail)
    [detail] = set(details)
    assert detail.startswith("Refused: vault.internal is not known as a public address; ")
    assert "PHOSPHO_WEBHOOK_ALLOWED_NETWORKS" in detail


def test_outbound_tries_the_next_address_of_a_name(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nothing listens on that port of the first one.
    resolving(monkeypatch, "127.0.0.9", "127.0.0.1")
    assert Outbound(LOOPBACK).post(receiver.url.replace("127.0.0.1", "two.example"), {}, b"{}").status == 200


def test_outbound_times_out_a_slow_lookup(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "TIMEOUT_S", 0.2)
    done = threading.Event()
    with monkeypatch.context() as patched:
        # Longer than the time-out of a test: only a lookup that is given up passes.
        patched.setattr(outbound.socket, "getaddrinfo", lambda *_, **__: done.wait(300) and [])
        answer = Outbound(LOOPBACK).post(receiver.url.replace("127.0.0.1", "slow.example"), {}, b"{}")
        done.set()
    assert (answer.status, "not looked up" in answer.detail) == (0, True)


def test_outbound_does_not_follow_a_redirect(receiver: Receiver) -> None:
    receiver.statuses.append(302)
    receiver.headers["Location"] = receiver.url + "/elsewhere"
    assert Outbound(LOOPBACK).post(receiver.url, {}, b"{}").status == 302
    assert [request.path for request in receiver.received] == ["/hook"]


def test_outbound_times_out_a_receiver_that_never_answers(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "TIMEOUT_S", 0.2)
    receiver.statuses.append(0)
    answer = Outbound(LOOPBACK).post(receiver.url, {}, b"{}")
    assert (answer.status, "Timeout" in answer.detail) == (0, True)


def test_outbound_times_out_a_receiver_that_drips_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each read is quick; all of them together are not."""
    monkeypatch.setattr(outbound, "TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        done = threading.Event()

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                while not done.wait(0.02):
                    try:
                        connection.sendall(b"H")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        answer = Outbound(LOOPBACK).post(url, {}, b"{}")
        done.set()
        thread.join()
    assert answer.status == 0


def test_outbound_does_not_read_an_endless_answer(receiver: Receiver) -> None:
    receiver.headers["Content-Length"] = str(10**12)
    assert Outbound(LOOPBACK).post(receiver.url, {}, b"{}").status == 200
