"""The server as replicas on a Ray cluster: Ray Serve starts them, shares requests among them and replaces lost ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from logging import WARNING
from threading import Event
from typing import Any

from starlette.types import ASGIApp

from ..errors import ClusterError, MissingExtraError
from ..retrievers._ray_cluster import connect, ray
from ._haproxy import check_free, put_haproxy_in_front
from ._running import few_arenas
from ._settings import LOOPBACK, ServerSettings

try:
    from ray import serve
except ImportError as error:
    raise MissingExtraError("ray[serve]", "scale", "trailhound serve --ray") from error

APP = "trailhound"
"""What Ray Serve calls it."""

_CONTROLLER = ("SERVE_CONTROLLER_ACTOR", "serve")
"""Name and namespace of the actor that is there where Ray Serve runs."""

_EACH = 8
"""Requests for each thread of a replica that it has at a time: more wait outside, where a kill does not reach them."""


@dataclass(frozen=True)
class Replicas:
    """How many replicas serve, and where.

    Attributes:
        address: of the cluster, as for :func:`connect`.
        least: replicas that there always are; each takes one CPU.
        most: replicas that there are when many requests wait.
    """

    address: str
    least: int
    most: int


class Replica:
    """One replica: it serves what a worker of a server serves.

    Args:
        settings: of the server.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings

    def __serve_build_asgi_app__(self) -> ASGIApp:  # the name is Ray Serve's
        """Return the application of this replica."""
        from ._metrics import share

        few_arenas()
        share(self._settings.state / "metrics")
        from ._app import create_app

        return create_app(self._settings)


def run_on_ray(settings: ServerSettings, replicas: Replicas, ready: Callable[[], None]) -> None:
    """Serve until this is interrupted.

    Args:
        settings: of the server; all machines see its folders at the same paths.
        replicas: how many, and where.
        ready: called when requests are answered.

    Raises:
        ClusterError: when the cluster has too few CPUs, another application is at the same route, or the port of a
            cluster of our own is taken.
        IndexFolderError, PolicyError, QuestionsError: as :func:`create_app`.
    """
    from ._app import create_app

    create_app(settings)  # what cannot be served is said once, and here
    if replicas.address == "local":
        check_free(settings.host, settings.port)
        put_haproxy_in_front(settings.state)
    connect(replicas.address)
    there = int(ray.cluster_resources().get("CPU", 0))
    if replicas.most > there:
        raise ClusterError(f"{replicas.most} replicas take a CPU each, and the cluster has {there}: give fewer")
    ours = not _is_running()
    serve.start(
        proxy_location="HeadOnly" if settings.host in LOOPBACK else "EveryNode",
        http_options={"host": settings.host, "port": settings.port},
        logging_config={"log_level": WARNING, "enable_access_log": False},
    )
    try:
        serve.run(_deployment(settings, replicas), name=APP, route_prefix="/")
        ready()
        Event().wait()
    except (RuntimeError, ValueError) as error:
        raise ClusterError(f"Ray Serve cannot serve at {replicas.address} ({error}): see its logs") from error
    finally:
        serve.shutdown() if ours else serve.delete(APP)


def _is_running() -> bool:
    try:
        ray.get_actor(_CONTROLLER[0], namespace=_CONTROLLER[1])
    except ValueError:
        return False
    return True


def _deployment(settings: ServerSettings, replicas: Replicas) -> Any:
    """Return what Ray Serve is to run."""
    each = _EACH * settings.threads
    how: dict[str, Any] = {"max_ongoing_requests": each, "ray_actor_options": {"num_cpus": 1}}
    if replicas.most > replicas.least:
        wanted = {"target_ongoing_requests": settings.threads}
        how["autoscaling_config"] = {"min_replicas": replicas.least, "max_replicas": replicas.most, **wanted}
    else:
        how["num_replicas"] = replicas.least
    return serve.deployment(**how)(serve.ingress()(Replica)).bind(settings)
