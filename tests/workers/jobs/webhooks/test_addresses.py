"""Webhooks go to public addresses only, and to the networks that the settings allow."""

from __future__ import annotations

import ipaddress
from ipaddress import ip_network

import pytest

from phospho_workers.jobs.webhooks.addresses import host_refusal, is_allowed, url_refusal
from phospho_workers.jobs.webhooks.outbound import Outbound


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
        "fec0::1",
        "feff::1",
        "3fff::1",
        "5f00::1",
        "4000::1",
        "100::1",
        "::ffff:0:7f00:1",
        "2001:20::1",
        "192.0.0.9",
        "192.88.99.1",
    ],
)
def test_is_allowed_refuses_addresses_that_are_not_public(address: str) -> None:
    assert not is_allowed(ipaddress.ip_address(address), ())


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34"])
def test_is_allowed_accepts_public_addresses(address: str) -> None:
    assert is_allowed(ipaddress.ip_address(address), ())


def test_is_allowed_accepts_only_the_networks_of_the_settings() -> None:
    allowed = (ip_network("10.0.0.0/8"), ip_network("::1/128"))
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
def test_url_refusal_explains_what_is_no_plain_web_address(url: str) -> None:
    assert url_refusal(url)
    assert Outbound().post(url, {}, b"{}").status == 0


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
def test_host_refusal_names_the_setting_that_allows_an_address(host: str) -> None:
    reason = host_refusal(f"https://{host}:8443/hook", ())

    assert reason is not None
    assert "PHOSPHO_WEBHOOK_ALLOWED_NETWORKS" in reason


def test_host_refusal_accepts_public_and_allowed_hosts_and_names() -> None:
    assert host_refusal("https://8.8.8.8/hook", ()) is None
    assert host_refusal("http://localhost:9000/hook", (ip_network("127.0.0.0/8"),)) is None
    assert host_refusal("http://2130706433/hook", (ip_network("127.0.0.1/32"),)) is None
    assert host_refusal("https://receiver.internal/hook", ()) is None
