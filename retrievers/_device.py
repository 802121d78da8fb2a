"""Where torch computes, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import DeviceError

if TYPE_CHECKING:
    import torch


def device_called(name: str) -> torch.device:
    """Return the device of a name that torch knows; ``auto`` is a GPU where there is one, and otherwise the CPU.

    Raises:
        DeviceError: when there is no such device here.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name).cpu()  # so that one that holds no numbers, such as meta, is refused too
        return torch.device(name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise DeviceError(f"torch cannot compute on {name!r} here: give cpu, or cuda where there is a GPU") from error
