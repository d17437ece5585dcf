"""A webhook's address is somebody else's choice: it never leads into this machine or its network."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from phospho_workers.jobs.webhooks import outbound
from phospho_workers.jobs.webhooks.outbound import Outbound, host_refusal, is_allowed, parsed_networks, url_refusal
from workers.jobs.receiver import Receiver, receiving

LOOPBACK = parsed_networks("127.0.0.0/8")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::7f00:1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:db8::1",
    ],
)
def test_an_address_that_is_not_public_is_refused_however_it_is_written(address: str) -> None:
    assert not is_allowed(ipaddress.ip_address(address), ())


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34"])
def test_a_public_address_is_allowed(address: str) -> None:
    assert is_allowed(ipaddress.ip_address(address), ())


def test_a_network_that_the_settings_name_is_allowed_and_no_other() -> None:
    allowed = parsed_networks("10.0.0.0/8, ::1/128")
    given = {text: is_allowed(ipaddress.ip_address(text), allowed) for text in ("10.9.9.9", "::1", "192.168.0.1")}
    assert given == {"10.9.9.9": True, "::1": True, "192.168.0.1": False}


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "//example.com",
        "javascript:alert(1)",
        "https://user:password@example.com/",
        "https://example.com:99999/",
        "https://[::1/",
        "https://exämple.com/",
        "https://example.com/a b",
        "https://example.com/\r\nX: y",
    ],
)
def test_what_is_no_plain_web_address_is_refused_with_a_reason(url: str) -> None:
    assert url_refusal(url)
    assert Outbound(LOOPBACK).post(url, {}, b"{}").status == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]"])
def test_loopback_is_not_reached_by_any_of_its_names(receiver: Receiver, host: str) -> None:
    answer = Outbound().post(receiver.url.replace("127.0.0.1", host), {}, b"{}")
    assert (answer.status, receiver.received) == (0, [])
    assert answer.detail


def test_a_name_is_looked_up_once_and_one_bad_address_of_it_is_enough(
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


def test_a_refusal_does_not_tell_a_name_of_this_network_from_one_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    details = []
    for addresses in ([], ["10.1.2.3"], ["169.254.169.254", "93.184.216.34"]):
        resolving(monkeypatch, *addresses)
        details.append(Outbound().post("https://vault.internal/", {}, b"{}").detail)
    [detail] = set(details)
    assert detail.startswith("Refused: vault.internal is not known as a public address; ")
    assert "PHOSPHO_WEBHOOK_ALLOWED_NETWORKS" in detail


def test_where_one_address_of_a_name_does_not_answer_the_next_one_is_tried(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing listens on that port of the first one.
    resolving(monkeypatch, "127.0.0.9", "127.0.0.1")
    assert Outbound(LOOPBACK).post(receiver.url.replace("127.0.0.1", "two.example"), {}, b"{}").status == 200


def test_a_name_that_takes_for_ever_to_look_up_is_left_in_time(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound, "TIMEOUT_S", 0.2)
    done = threading.Event()
    with monkeypatch.context() as patched:
        patched.setattr(outbound.socket, "getaddrinfo", lambda *_, **__: done.wait(20) and [])
        begun_s = time.monotonic()
        answer = Outbound(LOOPBACK).post(receiver.url.replace("127.0.0.1", "slow.example"), {}, b"{}")
        took_s = time.monotonic() - begun_s
        done.set()
    assert (answer.status, "not looked up" in answer.detail, took_s < 10) == (0, True, True)


def test_a_redirect_is_an_answer_and_is_not_followed(receiver: Receiver) -> None:
    receiver.statuses.append(302)
    receiver.headers["Location"] = receiver.url + "/elsewhere"
    assert Outbound(LOOPBACK).post(receiver.url, {}, b"{}").status == 302
    assert [one.path for one in receiver.received] == ["/hook"]


def test_a_receiver_that_never_answers_is_left_in_time(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "TIMEOUT_S", 0.2)
    receiver.statuses.append(0)
    answer = Outbound(LOOPBACK).post(receiver.url, {}, b"{}")
    assert (answer.status, "Timeout" in answer.detail) == (0, True)


def test_one_that_sends_a_byte_now_and_then_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each read is quick; all of them together are not."""
    monkeypatch.setattr(outbound, "TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as door:
        url = f"http://127.0.0.1:{door.getsockname()[1]}/"
        done = threading.Event()

        def drip() -> None:
            connection, _ = door.accept()
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


def test_an_answer_without_end_is_not_read(receiver: Receiver) -> None:
    receiver.headers["Content-Length"] = str(10**12)
    assert Outbound(LOOPBACK).post(receiver.url, {}, b"{}").status == 200


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "127.1",
        "169.254.169.254",
        "10.0.0.1",
        "[::1]",
        "[::ffff:10.0.0.1]",
        "[fe80::1%25eth0]",
        "localhost",
    ],
)
def test_an_address_that_is_never_told_is_refused_at_once_with_what_can_allow_it(host: str) -> None:
    reason = host_refusal(f"https://{host}:8443/hook", ())

    assert reason is not None
    assert "PHOSPHO_WEBHOOK_ALLOWED_NETWORKS" in reason


def test_public_and_allowed_addresses_and_names_are_not_refused_beforehand() -> None:
    assert host_refusal("https://8.8.8.8/hook", ()) is None
    assert host_refusal("http://localhost:9000/hook", parsed_networks("127.0.0.0/8")) is None
    assert host_refusal("http://2130706433/hook", parsed_networks("127.0.0.1/32")) is None
    assert host_refusal("https://receiver.internal/hook", ()) is None
