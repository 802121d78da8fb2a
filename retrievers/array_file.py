"""Reading arrays from files that may be missing or damaged."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DamagedIndexError

HEADERS = Lock()
"""Held while numpy reads the header of a file: it parses Python, and CPython's parser is not safe in threads (3.11:
"AST constructor recursion depth mismatch").
"""


def map_array(path: Path) -> NDArray[Any]:
    """Map the array of an ``.npy`` file into memory, read-only.

    Raises:
        OSError, ValueError: when the file is not there, or is not one.
    """
    with HEADERS:
        return np.lib.format.open_memmap(path, mode="r")


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
