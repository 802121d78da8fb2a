"""Reading the arrays of a safetensors file that may be missing or damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ..errors import DamagedIndexError


def load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of ``path`` by name.

    Raises:
        DamagedIndexError: when the file is not there, or is not a safetensors file of numpy's types.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(str(path))
    # A type that numpy lacks (bfloat16, float8) surfaces as a TypeError or an AttributeError.
    except (OSError, SafetensorError, TypeError, AttributeError) as error:
        raise DamagedIndexError(f"{path}: cannot be read as safetensors ({error}); build the index again") from error
