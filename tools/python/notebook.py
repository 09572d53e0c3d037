"""Executes a notebook where it lies, by this Python: `notebook.py NOTEBOOK [--write]`. With `--write` its outputs are kept in it."""

import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

path = Path(sys.argv[1])
notebook = nbformat.read(path, as_version=4)
begun = time.monotonic()
NotebookClient(notebook, timeout=600, resources={"metadata": {"path": path.parent}}).execute()
print(f"{path}: {sum(cell.cell_type == 'code' for cell in notebook.cells)} cells in {time.monotonic() - begun:.1f} s")
if "--write" in sys.argv[2:]:
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    for cell in notebook.cells:
        # When a cell ran is of no use to a reader.
        cell.metadata = {}
    nbformat.write(notebook, path)
