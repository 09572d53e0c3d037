"""What a run is made of: the parts, and the pictures in one."""

from __future__ import annotations

import os
import posixpath
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from .._emoxide import ENDINGS

#: Endings that are taken for pictures where a folder or an archive is read, as ``emoxide predict`` does.
PICTURES = tuple(f".{ending}" for ending in ENDINGS)
#: Endings of archives. Compressed ones are read so by Arrow, or by `tarfile` what Arrow does not know.
ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
#: Columns that name a picture in a table, in order.
NAMES = ("input", "path", "__key__")
#: A part's files: what each is, and for a table which of its row groups.
COLUMNS: dict[str, pa.DataType] = {"part": pa.int64(), "kind": pa.string(), "path": pa.string(), "row_group": pa.int32()}
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


def located(path: str) -> tuple[fs.FileSystem, str, str]:
    """File system of an absolute path or an address, the path in it, and what stands before it in a name."""
    if "://" in path:
        system, inner = fs.FileSystem.from_uri(path)
        return system, inner, "" if isinstance(system, fs.LocalFileSystem) else path[: path.index("://") + 3]
    return fs.LocalFileSystem(), path, ""


def plan(images: Sequence[str], part_size: int, column: str) -> Parts:
    """Lists what is there: picture files in parts of ``part_size``, row groups and archives as parts of their own."""
    rows: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}
    part = in_part = 0

    def add(kind: str, path: str, row_group: int | None = None) -> None:
        nonlocal part, in_part
        alone = kind != "file"
        if in_part and (alone or in_part == part_size):
            part, in_part = part + 1, 0
        for name, value in zip(SCHEMA.names, (part, kind, path, row_group)):
            rows[name].append(value)
        part, in_part = (part + 1, 0) if alone else (part, in_part + 1)

    for named in images:
        system, inner, scheme = located(named)
        found = [inner] if system.get_file_info(inner).type != fs.FileType.Directory else _listed(system, inner)
        if not found:
            raise FileNotFoundError(f"{named}: the folder holds no pictures, Parquet files or archives")
        for path in found:
            if path.lower().endswith(".parquet"):
                if system.get_file_info(path).type == fs.FileType.NotFound:
                    raise FileNotFoundError(f"{scheme}{path}: no such file")
                with system.open_input_file(path) as file:
                    table = pq.ParquetFile(file)
                    _has(table.schema_arrow.names, column, scheme + path)
                    groups = table.num_row_groups
                for group in range(groups):
                    add("table", scheme + path, group)
            else:
                add("archive" if path.lower().endswith(ARCHIVES) else "file", scheme + path)
    return Parts(pa.table(rows, schema=SCHEMA))


def _listed(system: fs.FileSystem, folder: str) -> list[str]:
    """The files of a folder and of those in it that can be read, sorted. Tables and archives that are hidden, or in a folder that is,
    are left out, such as the manifest of an output."""
    infos = system.get_file_info(fs.FileSelector(folder, recursive=True))
    wanted = (*PICTURES, *ARCHIVES, ".parquet")
    found = (info.path for info in infos if info.type == fs.FileType.File and info.path.lower().endswith(wanted))

    def hidden(path: str) -> bool:
        return any(step.startswith((".", "_")) for step in path[len(folder) :].split("/"))

    return sorted(path for path in found if path.lower().endswith(PICTURES) or not hidden(path))


def read(part: pa.Table, column: str) -> Iterator[Picture]:
    """The pictures of a part, one after another; one that cannot be read comes with the reason."""
    for row in part.to_pylist():
        system, path, _ = located(row["path"])
        try:
            if row["kind"] == "file":
                with system.open_input_stream(path) as file:
                    yield row["path"], file.read()
            elif row["kind"] == "archive":
                yield from _archive(system, path, row["path"])
            else:
                yield from _rows(system, path, row["path"], row["row_group"], column)
        except (OSError, tarfile.TarError, pa.ArrowException) as error:
            yield row["path"], error


def _archive(system: fs.FileSystem, path: str, name: str) -> Iterator[Picture]:
    with system.open_input_stream(path) as file, tarfile.open(fileobj=file, mode="r|*") as archive:
        for member in archive:
            if not (member.isfile() and member.name.lower().endswith(PICTURES)):
                continue
            content = archive.extractfile(member)
            if content is not None:
                yield f"{name}/{member.name}", content.read()


def _rows(system: fs.FileSystem, path: str, name: str, group: int, column: str) -> Iterator[Picture]:
    with system.open_input_file(path) as file:
        table = pq.ParquetFile(file)
        first = sum(table.metadata.row_group(before).num_rows for before in range(group))
        yield from pictures(table.read_row_group(group), column, lambda at: f"{name}#{first + at}")


def pictures(table: pa.Table, column: str, place: Any) -> Iterator[Picture]:
    """The pictures in a table's column, named by its first column of :data:`NAMES`, else by their place."""
    _has(table.column_names, column, "the data set")
    named = next((name for name in NAMES if name in table.column_names), None)
    for at in range(table.num_rows):
        name = str(table[named][at].as_py()) if named else place(at)
        value = table[column][at]
        if not value.is_valid:
            yield name, ValueError("the cell is empty")
            continue
        # Ray keeps pixels as tensors.
        yield name, value.to_numpy() if hasattr(value, "to_numpy") else value.as_py()


def _has(columns: list[str], column: str, table: str) -> None:
    if column not in columns:
        raise ValueError(f"column: {table} has no `{column}`, but {', '.join(columns)}")
