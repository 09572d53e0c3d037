#!/usr/bin/env python3
"""Largest difference of any probability between what front ends say of the same pictures.

    emoxide predict PICTURES --format json > cli.json
    node tools/page/browser.mjs http://127.0.0.1:5005 OUT PICTURES      (writes OUT/server.json and OUT/browser.json)
    tools/page/compare.py cli.json OUT/server.json OUT/browser.json

Pictures are told apart by the names of their files. Ends with 1 where faces are not the same, or a probability differs by
more than 1e-3.
"""

import itertools
import json
import pathlib
import sys

TOLERANCE = 1e-3


def faces(path: str) -> dict[str, list[dict]]:
    predictions = json.loads(pathlib.Path(path).read_text())
    return {pathlib.Path(one["input"]).name: one["faces"] for one in predictions}


def main() -> int:
    paths = sys.argv[1:]
    said = {path: faces(path) for path in paths}
    largest = 0.0
    for one, other in itertools.combinations(paths, 2):
        if said[one].keys() != said[other].keys():
            print(f"{one} and {other} are not about the same pictures", file=sys.stderr)
            return 1
        difference, classes, count = 0.0, 0, 0
        for name, found in said[one].items():
            against = said[other][name]
            if len(found) != len(against):
                print(f"{name}: {len(found)} faces in {one}, {len(against)} in {other}", file=sys.stderr)
                return 1
            for face, same in zip(found, against):
                count += 1
                classes += face["dominant_emotion"] != same["dominant_emotion"]
                values = face["probabilities"]
                difference = max([difference, *(abs(value - same["probabilities"][key]) for key, value in values.items())])
        print(f"{one} | {other}: {len(said[one])} pictures, {count} faces, {difference:.2e}, {classes} other expressions")
        largest = max(largest, difference)
    return int(largest > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
