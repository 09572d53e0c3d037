"""The output of a run, in parts that are either whole or not there."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from .. import __version__
from .sources import Parts, located

#: Readers of Parquet folders leave out what begins with an underscore.
MANIFEST = "_manifest"


@dataclass(frozen=True)
class Output:
    """A folder of ``part-00000042.parquet``, and beside them the manifest: ``settings.json`` and ``parts.parquet``, what each part
    is made of. A part appears under its name when it is whole, so that which ones are done needs no other record."""

    folder: str
    parts: Parts

    @classmethod
    def open(cls, folder: str, plan: Callable[[], Parts], settings: dict[str, Any]) -> Output:
        """Goes on with an output, or begins one: what is to be done is listed once, and never changes afterwards."""
        system, inner, _ = located(folder)
        settings = json.loads(json.dumps({**settings, "emoxide": __version__}))
        manifest = posixpath.join(inner, MANIFEST)
        listing, record = posixpath.join(manifest, "parts.parquet"), posixpath.join(manifest, "settings.json")
        if system.get_file_info(record).type == fs.FileType.NotFound:
            if any(info.type == fs.FileType.File for info in system.get_file_info(fs.FileSelector(inner, allow_not_found=True))):
                raise ValueError(f"output: {folder} holds files, but no manifest of an earlier run; name an empty folder")
            parts = plan()
            system.create_dir(manifest, recursive=True)
            _write(system, listing, lambda file: pq.write_table(parts.table, file))
            # Last, because a manifest without settings is none.
            _write(system, record, lambda file: file.write(json.dumps(settings, indent=2).encode()))
            return cls(folder, parts)
        with system.open_input_stream(record) as file:
            begun = json.loads(file.read())
        different = [key for key in sorted(settings.keys() | begun.keys()) if settings.get(key) != begun.get(key)]
        if different:
            key = different[0]
            raise ValueError(
                f"output: {folder} was begun with {key} = {begun.get(key)!r}, and this run has {settings.get(key)!r}; "
                "use the same or another folder"
            )
        with system.open_input_file(listing) as file:
            return cls(folder, Parts(pq.read_table(file)))

    def _path(self, part: int) -> str:
        return posixpath.join(located(self.folder)[1], f"part-{part:08}.parquet")

    def done(self) -> set[int]:
        """Numbers of the parts that are written."""
        system, inner, _ = located(self.folder)
        names = {posixpath.basename(info.path) for info in system.get_file_info(fs.FileSelector(inner))}
        return {part for part in self.parts.numbers() if f"part-{part:08}.parquet" in names}

    def missing(self) -> Parts:
        """Parts that are still to be done."""
        return self.parts.only(set(self.parts.numbers()) - self.done())

    def finished(self) -> tuple[fs.FileSystem, list[str]]:
        """The files of all parts.

        Raises:
            RuntimeError: Some are missing.
        """
        missing = len(self.missing())
        if missing:
            raise RuntimeError(f"{self.folder}: {missing} of {len(self.parts)} parts are missing; run it again")
        return located(self.folder)[0], [self._path(part) for part in self.parts.numbers()]

    def write(self, part: int, faces: pa.Table) -> None:
        """Writes a part; a second time it is replaced by the same one."""
        _write(located(self.folder)[0], self._path(part), lambda file: pq.write_table(faces, file, compression="zstd"))


def _write(system: fs.FileSystem, path: str, content: Callable[[Any], Any]) -> None:
    """A file that appears when it is whole: object stores show none before, elsewhere it is renamed."""
    renamed = isinstance(system, fs.LocalFileSystem)
    folder, name = posixpath.split(path)
    target = posixpath.join(folder, f".{name}.{uuid4().hex}") if renamed else path
    try:
        with system.open_output_stream(target) as file:
            content(file)
        if renamed:
            system.move(target, path)
    except BaseException:
        if renamed and system.get_file_info(target).type == fs.FileType.File:
            system.delete_file(target)
        raise
