"""No test reaches a host that is not this machine.

An audit hook sees every connection and every name that Python code asks for, whichever client
asks, so no client needs to be patched. It refuses the call, and it fails the test as well: a client
that takes the refusal for an ordinary network error must not hide it.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
from collections.abc import Generator

import pytest

_NAME_EVENTS = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
_ADDRESS_EVENTS = ("socket.connect", "socket.sendto", "socket.sendmsg")
_INTERNET = (socket.AF_INET, socket.AF_INET6)
_refused: list[str] = []


class UnknownHost(RuntimeError):
    """A test asked for a host that is not this machine."""


def is_this_machine(host: object) -> bool:
    """True for loopback addresses, names of localhost, and the empty host of a listening socket."""
    if host is None:
        return True
    name = host.decode("utf-8", "replace") if isinstance(host, bytes | bytearray) else str(host)
    name = name.rstrip(".").lower()
    if name in ("", "localhost") or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if event in _NAME_EVENTS:
        host = arguments[0]
    elif event in _ADDRESS_EVENTS:
        address = arguments[1]
        if not isinstance(address, tuple) or getattr(arguments[0], "family", None) not in _INTERNET:
            return
        host = address[0]
    else:
        return
    if not is_this_machine(host):
        sentence = f"the test asked for the host {host!r} ({event}); give it a server on 127.0.0.1 instead"
        _refused.append(sentence)
        raise UnknownHost(sentence)


def pytest_configure() -> None:
    sys.addaudithook(_hook)


def refused_hosts() -> list[str]:
    """Hands over, and forgets, what was refused since the last call."""
    found = list(_refused)
    _refused.clear()
    return found


def _fail_when_refused() -> Generator[None, object, object]:
    try:
        result = yield
    finally:
        refused = refused_hosts()
    if refused:
        pytest.fail("; ".join(refused), pytrace=False)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, object, object]:
    return (yield from _fail_when_refused())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    return (yield from _fail_when_refused())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None, object, object]:
    return (yield from _fail_when_refused())
