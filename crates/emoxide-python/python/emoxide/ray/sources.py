"""What a run is made of: the parts, and the pictures in one."""

from __future__ import annotations

import os
import posixpath
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from lzma import LZMAError, LZMAFile
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from .._emoxide import ENDINGS

#: Endings that are taken for pictures where a folder or an archive is read, as ``emoxide predict`` does.
PICTURES = tuple(f".{ending}" for ending in ENDINGS)
#: Endings of archives, and how Arrow is told to read them; it does not know ``xz``.
ARCHIVES = {".tar": None, ".tar.gz": "gzip", ".tgz": "gzip", ".tar.bz2": "bz2", ".tar.zst": "zstd", ".tar.xz": None}
#: Bytes of zeros that end an archive.
END = 1024
#: Columns that name a picture in a table, in order.
NAMES = ("input", "path", "__key__")
#: A part's files: what each is, and for a table which of its row groups.
#: ``source`` is what it was found under, whose file system has it at ``path``.
COLUMNS: dict[str, pa.DataType] = {
    "part": pa.int64(),
    "kind": pa.string(),
    "source": pa.string(),
    "path": pa.string(),
    "row_group": pa.int32(),
}
SCHEMA = pa.schema(COLUMNS)

#: Name, and the bytes of a file, pixels, or why there are none.
Picture = tuple[str, Any]


@dataclass(frozen=True)
class Parts:
    """Parts of a run: a table with a row a file (:data:`SCHEMA`), in order of ``part``."""

    table: pa.Table

    def __len__(self) -> int:
        return len(self.numbers())

    def numbers(self) -> list[int]:
        """The parts' numbers."""
        return cast("list[int]", self.table["part"].unique().to_pylist())

    def tables(self) -> list[pa.Table]:
        """The rows of each part."""
        counts = cast("list[int]", pc.value_counts(self.table["part"]).field("counts").to_pylist())
        return [self.table.slice(end - count, count) for count, end in zip(counts, accumulate(counts))]

    def only(self, numbers: set[int]) -> Parts:
        """The parts of these numbers."""
        return Parts(self.table.filter(pc.is_in(self.table["part"], pa.array(sorted(numbers), pa.int64()))))


def absolute(path: str | os.PathLike[str]) -> str:
    """A path that means the same in every process; addresses do."""
    text = os.fspath(path)
    return text if "://" in text else str(Path(text).absolute())


@lru_cache(maxsize=16)
def located(path: str) -> tuple[fs.FileSystem, str, str]:
    """File system of an absolute path or an address, the path in it, and what stands before it in a name."""
    if "://" in path:
        system, inner = fs.FileSystem.from_uri(path)
        return system, inner, "" if isinstance(system, fs.LocalFileSystem) else path[: path.index("://") + 3]
    return fs.LocalFileSystem(), path, ""


def _archive_ending(path: str) -> str | None:
    return next((ending for ending in ARCHIVES if path.lower().endswith(ending)), None)


def plan(images: Sequence[str], part_size: int, column: str) -> Parts:
    """Lists what is there: picture files in parts of ``part_size``, row groups and archives as parts of their own."""
    rows: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}
    part = in_part = 0

    def add(kind: str, path: str, named: str, row_group: int | None = None) -> None:
        nonlocal part, in_part
        alone = kind != "file"
        if in_part and (alone or in_part == part_size):
            part, in_part = part + 1, 0
        for name, value in zip(SCHEMA.names, (part, kind, named, path, row_group)):
            rows[name].append(value)
        part, in_part = (part + 1, 0) if alone else (part, in_part + 1)

    for named in images:
        system, inner, scheme = located(named)
        kind = system.get_file_info(inner).type
        # A picture that is not there is a row that says so; anything else is a slip of the pen.
        if kind == fs.FileType.NotFound and not inner.lower().endswith(PICTURES):
            raise FileNotFoundError(f"{named}: no such file or folder")
        found = _listed(system, inner, named) if kind == fs.FileType.Directory else [inner]
        if not found:
            raise FileNotFoundError(f"{named}: the folder holds no pictures, Parquet files or archives")
        for path in found:
            if path.lower().endswith(".parquet"):
                with system.open_input_file(path) as file:
                    table = pq.ParquetFile(file)
                    _has(table.schema_arrow.names, column, scheme + path)
                    groups = table.num_row_groups
                for group in range(groups):
                    add("table", path, named, group)
            else:
                add("archive" if _archive_ending(path) else "file", path, named)
    return Parts(pa.table(rows, schema=SCHEMA))


def _listed(system: fs.FileSystem, folder: str, named: str) -> list[str]:
    """The files of a folder and of those in it that can be read, sorted. Tables and archives that are hidden, or in a folder that is,
    are left out, such as the manifest of an output."""
    try:
        infos = system.get_file_info(fs.FileSelector(folder, recursive=True))
        paths = [info.path for info in infos if info.type == fs.FileType.File]
    except UnicodeDecodeError as error:
        name = error.object.decode(errors="backslashreplace")
        raise ValueError(f"{named}: {name} is no name in UTF-8, which Arrow needs; rename it") from None
    wanted = (*PICTURES, *ARCHIVES, ".parquet")
    found = (path for path in paths if path.lower().endswith(wanted))

    def hidden(path: str) -> bool:
        return any(step.startswith((".", "_")) for step in path[len(folder) :].split("/"))

    return sorted(path for path in found if path.lower().endswith(PICTURES) or not hidden(path))


def read(part: pa.Table, column: str) -> Iterator[Picture]:
    """The pictures of a part, one after another; one that cannot be read comes with the reason."""
    for row in part.to_pylist():
        path = name = row["path"]
        try:
            system, _, scheme = located(row["source"])
            name = scheme + path
            if row["kind"] == "file":
                # As it is, whatever its name ends with.
                with system.open_input_stream(path, compression=None) as file:
                    yield name, file.read()
            elif row["kind"] == "archive":
                yield from _archive(system, path, name)
            else:
                yield from _rows(system, path, name, row["row_group"], column)
        except (OSError, EOFError, LZMAError, tarfile.TarError, pa.ArrowException) as error:
            yield name, error


class _Tail:
    """A stream that remembers its last bytes."""

    def __init__(self, stream: Any) -> None:
        self.stream, self.last = stream, b""

    def read(self, size: int) -> bytes:
        content: bytes = self.stream.read(size)
        self.last = (self.last + content)[-END:]
        return content


def _archive(system: fs.FileSystem, path: str, name: str) -> Iterator[Picture]:
    ending = _archive_ending(path) or ""
    with system.open_input_stream(path, compression=ARCHIVES[ending]) as file:
        stream = _Tail(LZMAFile(cast("Any", file)) if ending.endswith("xz") else file)
        with tarfile.open(fileobj=cast("Any", stream), mode="r|") as archive:
            for member in archive:
                if not (member.isfile() and member.name.lower().endswith(PICTURES)):
                    continue
                content = archive.extractfile(member)
                if content is not None:
                    yield f"{name}/{member.name}", content.read()
            # `tarfile` takes the end of the file for that of the archive.
            while stream.read(1 << 16):
                pass
            if stream.last != bytes(END):
                raise EOFError("the archive breaks off: the zeros that end one are missing")


def _rows(system: fs.FileSystem, path: str, name: str, group: int, column: str) -> Iterator[Picture]:
    with system.open_input_file(path) as file:
        table = pq.ParquetFile(file)
        first = sum(table.metadata.row_group(before).num_rows for before in range(group))
        yield from pictures(table.read_row_group(group), column, lambda at: f"{name}#{first + at}")


def pictures(table: pa.Table, column: str, place: Callable[[int], str] | None) -> Iterator[Picture]:
    """The pictures in a table's column, named by its first column of :data:`NAMES`, else by their place.

    Raises:
        ValueError: There is no such column, or nothing to name its pictures by.
    """
    _has(table.column_names, column, "the data set")
    named = next((name for name in NAMES if name in table.column_names), None)
    if named is None and place is None:
        raise ValueError(
            f"the data set has no column {', '.join(NAMES)} that says what its pictures are called; add one, or read it with include_paths"
        )
    for at in range(table.num_rows):
        name = table[named][at].as_py() if named else None
        if name is None:
            name = place(at) if place else ""
        yield str(name), _content(table[column][at])


def _content(value: Any) -> Any:
    """The bytes or pixels in a cell, or why it is no picture."""
    if not value.is_valid:
        return ValueError("the cell is empty")
    # Ray keeps pixels as tensors.
    content = value.to_numpy() if hasattr(value, "to_numpy") else value.as_py()
    if isinstance(content, bytes):
        return content
    if not isinstance(content, np.ndarray):
        return TypeError(f"the cell holds {value.type}; the bytes of a file, or pixels, are needed")
    if content.dtype != np.uint8 or not (content.ndim == 2 or (content.ndim == 3 and content.shape[2] in (1, 3))):
        return TypeError(f"the cell holds {content.dtype} of shape {list(content.shape)}; pixels are uint8 [height, width, 3]")
    return content


def _has(columns: list[str], column: str, table: str) -> None:
    if column not in columns:
        raise ValueError(f"column: {table} has no `{column}`, but {', '.join(columns)}")
