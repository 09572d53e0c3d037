"""Pictures on a Ray cluster: folders, Parquet tables, WebDataset archives and Ray's own data sets in, a row a face out.

Ray (``pip install 'emoxide[ray]'``) schedules, retries and moves data; this module says what a piece of work is and makes sure that
each picture ends in the output exactly once. ``docs/scale.md`` carries it from one machine to a thousand.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import ray
import ray.data

from .parts import Output
from .sources import Parts, absolute, plan
from .worker import PartWorker, RowWorker, weights

__all__ = ["analyze"]


def analyze(
    images: ray.data.Dataset | str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    model: str | os.PathLike[str] = "default",
    *,
    output: str | os.PathLike[str] | None = None,
    concurrency: int | tuple[int, int] | None = None,
    batch_size: int = 32,
    part_size: int = 1024,
    column: str = "bytes",
    num_cpus: float = 1,
    num_gpus: float = 0,
    **recognizer: Any,
) -> ray.data.Dataset:
    """Finds the faces of many pictures, and says what they express.

    Args:
        images: A folder (with all folders in it), pictures, ``*.parquet`` files, WebDataset ``*.tar`` files (also compressed ones), a folder of
            either, or a list of those, local or at an address that Arrow's file systems know (``s3://``, ``gs://``); or a Ray data set with the
            files' bytes, or pictures as arrays ``[height, width, 3]`` of ``uint8``, in ``column``.
        model: ``"default"`` or a checkpoint, which every node must be able to read at this path.
        output: Folder for Parquet files, one a part, and the manifest that names the parts. A second run with the same
            arguments does only those that are missing. Without it, nothing is written, and the work is done when the data
            set that is returned is read.
        concurrency: Actors, each of which holds the model; a number, or the fewest and most; by default one for every
            ``num_cpus`` (and ``num_gpus``) of the cluster.
        batch_size: Pictures that an actor works on together.
        part_size: Picture files that make up a part; a tar file and a row group of a Parquet file are parts by themselves.
        column: Column of Parquet files and data sets that holds the pictures.
        num_cpus: Cores of an actor; its network and detector use no more threads, rounded up.
        num_gpus: GPUs of an actor; give ``device`` too, as the model runs on the CPU otherwise.
        recognizer: ``device``, ``detector`` and other arguments of :class:`emoxide.Recognizer`.

    Returns:
        A row a face, and one for a picture without any, with the columns of ``emoxide predict --format csv``; ``error`` says why a
        picture could not be read. ``input`` names the picture: its path, ``archive.tar/member.jpg``, or what tables and data sets
        have in the column ``input``, ``path`` or ``__key__``, else for tables the place ``table.parquet#row``.

    Raises:
        ValueError: Arguments that do not go together, or other ones than those that an output was begun with.
        FileNotFoundError: Nothing is there.
        emoxide.EmoxideError: The model cannot be opened on the cluster.
    """
    if batch_size < 1 or part_size < 1:
        raise ValueError("batch_size and part_size are 1 or more")
    if num_cpus <= 0 or num_gpus < 0:
        raise ValueError("num_cpus is more than 0, and num_gpus 0 or more")
    settings = {"model": model if model == "default" else absolute(model), **recognizer}
    if not ray.is_initialized():
        ray.init()
    # An actor that cannot start is tried for ever: the same is done once before.
    trial = ray.remote(weights).options(num_cpus=num_cpus, num_gpus=num_gpus)
    concurrency = concurrency or _actors(num_cpus, num_gpus)
    try:
        fingerprint = ray.get(trial.remote(settings))
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    options: dict[str, Any] = {
        "concurrency": concurrency,
        "num_cpus": num_cpus,
        "num_gpus": num_gpus,
        "batch_format": "pyarrow",
        "runtime_env": {"env_vars": {"RAYON_NUM_THREADS": str(max(1, int(-(-num_cpus // 1))))}},
    }
    if isinstance(images, ray.data.Dataset):
        if output is not None:
            raise ValueError(
                "output: a data set has no parts that a second run could find again; name its files instead, or call "
                "write_parquet on what this returns"
            )
        arguments = {"settings": settings, "column": column}
        return images.map_batches(RowWorker, fn_constructor_kwargs=arguments, batch_size=batch_size, **options)
    if not isinstance(images, (str, os.PathLike)) and not len(images):
        raise ValueError("images is an empty list")
    paths = [absolute(path) for path in ([images] if isinstance(images, (str, os.PathLike)) else images)]
    if output is None:
        return _work(plan(paths, part_size, column), None, settings, column, batch_size, options)
    asked = {**settings, "weights": fingerprint, "images": paths, "part_size": part_size, "column": column}
    written = Output.open(absolute(output), lambda: plan(paths, part_size, column), asked)
    _work(written.missing(), written, settings, column, batch_size, options).materialize()
    system, files = written.finished()
    return ray.data.read_parquet(files, filesystem=system)


def _work(
    parts: Parts, output: Output | None, settings: dict[str, Any], column: str, batch_size: int, options: dict[str, Any]
) -> ray.data.Dataset:
    """The parts, a block each, on actors."""
    if not len(parts):
        return ray.data.from_items([])
    arguments = {"settings": settings, "column": column, "batch": batch_size, "output": output}
    # A block is a part, and a part is what is done again when a node is lost.
    return ray.data.from_arrow(parts.tables()).map_batches(
        PartWorker, fn_constructor_kwargs=arguments, batch_size=None, **options
    )


def _actors(num_cpus: float, num_gpus: float) -> int:
    """As many as fit on the cluster as it is."""
    resources = ray.cluster_resources()
    fit = resources.get("CPU", 1) // num_cpus
    if num_gpus:
        fit = min(fit, resources.get("GPU", 0) // num_gpus)
        if fit < 1:
            raise ValueError(f"num_gpus: the cluster has {resources.get('GPU', 0):g} GPUs")
    return max(1, int(fit))
