"""The Ray cluster that shards and trainings run on, and how this process comes to be connected to it."""

from __future__ import annotations

import signal
import threading
from typing import Any

from ..errors import ClusterError, MissingExtraError

try:
    import ray as ray
except ImportError as error:
    raise MissingExtraError("ray", "scale", "work on several machines") from error


def connect(address: str) -> None:
    """Connect this process to a Ray cluster, unless it is: ``auto`` for the one that there is, or one of its own.

    Raises:
        ClusterError: when there is none at the address.
    """
    if ray.is_initialized():
        return
    ends = signal.getsignal(signal.SIGTERM)
    about: dict[str, Any] = {"log_to_driver": False, "include_dashboard": False, "logging_level": "ERROR"}
    try:
        ray.init(address=None if address == "auto" else address, **about)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ClusterError(f"there is no Ray cluster at {address} ({error}): start one, or give --ray auto") from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, ends)  # Ray takes it, and would end this process with another exit code


def about_cpus() -> str:
    """Say how many of the cluster's CPUs are free."""
    there, free = (about().get("CPU", 0.0) for about in (ray.cluster_resources, ray.available_resources))
    return f"{free:g} of the cluster's {there:g} are free"
