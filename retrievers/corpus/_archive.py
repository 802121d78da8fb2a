"""Documents that are a ZIP archive of XML: opened within bounds, so that a small file cannot become an endless one."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

from ...errors import CorpusError
from ._read_text import ReadText

_MOST_BYTES = 1 << 29
_MOST_MEMBERS = 20_000
_ENTITY = re.compile(rb"<\0?\0?\0?!\0*E\0*N\0*T\0*I\0*T\0*Y")
_XML = (".xml", ".rels", ".opf", ".ncx")


class Archive:
    """The members of an archive by name.

    Raises:
        CorpusError: it is no archive, is damaged or encrypted, would unpack to more than 512 MiB, or declares
            entities, which no office writes and which can grow without end.
    """

    def __init__(self, data: bytes, path: Path) -> None:
        self._path = path
        try:
            self._zip = zipfile.ZipFile(BytesIO(data))
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as cause:
            raise self._damaged(cause) from cause
        members = self._zip.infolist()
        size = sum(member.file_size for member in members)
        if len(members) > _MOST_MEMBERS or size > _MOST_BYTES:
            message = f"would unpack to {size:,} bytes in {len(members):,} files, past the limits of"
            raise CorpusError(f"{message} {_MOST_BYTES:,} and {_MOST_MEMBERS:,}: split it, or leave it out", path)
        self.names = [member.filename for member in members]
        for name in self.names:
            if name.lower().endswith(_XML) and _ENTITY.search(self.read(name)):
                raise CorpusError(f"{name} in it declares entities, which may grow without end: leave it out", path)

    def read(self, name: str) -> bytes:
        """Return a member's bytes.

        Raises:
            CorpusError: it is not there, damaged or encrypted.
        """
        try:
            return self._zip.read(name)
        except KeyError as cause:
            raise CorpusError(f"has no {name} in it: save it again, or leave it out", self._path) from cause
        except Exception as cause:  # zlib, lzma and bz2 have errors of their own
            raise self._damaged(cause) from cause

    def xml(self, name: str) -> ElementTree.Element:
        """Return the root element of a member; raises as :meth:`read`, and where it is no XML."""
        try:
            return ElementTree.fromstring(self.read(name))
        except ElementTree.ParseError as cause:
            message = f"{name} in it is no sound XML ({cause}): save it again, or leave it out"
            raise CorpusError(message, self._path) from cause

    def _damaged(self, cause: Exception) -> CorpusError:
        message = f"cannot be unpacked ({cause}): repair or decrypt it, or leave it out"
        return CorpusError(message, self._path)


def read_office_file(data: bytes, path: Path, read: Callable[[BytesIO], ReadText]) -> ReadText:
    """Return what ``read`` makes of an archive that is within bounds.

    Raises:
        CorpusError: as :class:`Archive`, and where the library that reads it fails.
    """
    Archive(data, path)
    try:
        with warnings.catch_warnings():
            # Of parts that are not read, such as drawings and the styles of tables.
            warnings.simplefilter("ignore")
            return read(BytesIO(data))
    except Exception as cause:
        # A damaged file makes these libraries raise nearly anything, so the boundary is drawn around the whole reading.
        message = f"is damaged ({type(cause).__name__}: {cause}): save it again, or leave it out"
        raise CorpusError(message, path) from cause


def local_name(element: ElementTree.Element) -> str:
    """Return the name of an element without its namespace; "" for a comment."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def attribute(element: ElementTree.Element, name: str) -> str | None:
    """Return an attribute by its name without namespace, None where there is none."""
    return next((value for key, value in element.attrib.items() if key.rpartition("}")[2] == name), None)
