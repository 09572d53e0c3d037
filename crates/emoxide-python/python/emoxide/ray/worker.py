"""What runs in an actor: a model, and the pictures that it is given."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import pyarrow as pa

import emoxide

from .parts import Output
from .sources import Picture, pictures, read


def weights(settings: dict[str, Any]) -> str:
    """What tells a model from another one of the same name, once it has been opened."""
    emoxide.Recognizer(**settings)
    if settings["model"] == "default":
        return emoxide.__version__
    digest = hashlib.sha256()
    with open(settings["model"], "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


class _Worker:
    def __init__(self, settings: dict[str, Any]) -> None:
        self.recognizer = emoxide.Recognizer(**settings)

    def faces(self, batch: list[Picture]) -> pa.Table:
        """The rows of some pictures, in order."""
        names = [name for name, _ in batch]
        return self.recognizer.predict_table([image for _, image in batch], names=names, errors="keep")


class RowWorker(_Worker):
    """Batches of a data set."""

    def __init__(self, settings: dict[str, Any], column: str) -> None:
        super().__init__(settings)
        self.column = column

    def __call__(self, batch: pa.Table) -> pa.Table:
        return self.faces(list(pictures(batch, self.column, None)))


class PartWorker(_Worker):
    """Parts of a run, whole."""

    def __init__(self, settings: dict[str, Any], column: str, batch: int, output: Output | None) -> None:
        super().__init__(settings)
        self.column, self.batch, self.output = column, batch, output

    def __call__(self, part: pa.Table) -> pa.Table:
        batches = _ahead(_batches(read(part, self.column), self.batch))
        tables = [self.faces(batch) for batch in batches]
        faces = pa.concat_tables(tables or [self.faces([])])
        if self.output is None:
            return faces
        number = part["part"][0].as_py()
        self.output.write(number, faces)
        return pa.table({"part": [number], "rows": [faces.num_rows]})


def _batches(pictures: Iterator[Picture], size: int) -> Iterator[list[Picture]]:
    while batch := list(islice(pictures, size)):
        yield batch


def _ahead(items: Iterable[Any]) -> Iterator[Any]:
    """The same items, each read while the one before it is worked on."""
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, iterator, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, iterator, end)
            yield item
