"""The folder of a training run: whose it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import PolicyError
from ..retrievers.atomic_file import write_json

_RUN = "run.json"


def claim(out: Path, described: Mapping[str, Any], resume: bool) -> None:
    """Make a folder a run's own, unless the run that is there is the same.

    Args:
        out: the folder.
        described: everything that decides what the run leads to; ``workers`` among it.
        resume: whether a run that is there already may go on.

    Raises:
        PolicyError: when the folder holds another run, or one that may not go on.
    """
    path = out / _RUN
    if path.exists():
        there = {"workers": 1, **_read(path)}
        if there["workers"] != described["workers"]:
            raise PolicyError(
                f"{out} holds a run of {there['workers']} workers, not of {described['workers']}, which would lead"
                " to another policy: go on with as many, choose another folder or delete it"
            )
        if there != json.loads(json.dumps(described)):
            raise PolicyError(f"{out} holds a run of other settings: choose another folder or delete it")
        if not resume:
            raise PolicyError(f"{out} holds a run already: choose another folder, delete it, or resume")
    elif (out / "policy.json").exists():
        raise PolicyError(f"{out} holds a policy already: choose another folder or delete it")
    else:
        out.mkdir(parents=True, exist_ok=True)
        write_json(path, described)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise PolicyError(f"{path} is damaged ({error}): choose another folder or delete it") from error
