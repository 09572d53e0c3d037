"""Writes the t-SNE fixture of `emoxide-train`: points, and what scikit-learn makes of them.

Versions: scikit-learn 1.9.1, numpy. Run from the repository root: python tools/reference/tsne.py
"""

import json
from pathlib import Path

import numpy as np
import sklearn
from sklearn.manifold import TSNE, trustworthiness

OUT = Path("crates/emoxide-train/tests/fixtures/report/tsne.json")
PERPLEXITY = 12.0
NEIGHBOURS = 10


def points():
    """Seven clusters of different spread in twelve dimensions, two of which overlap; one point stands twice."""
    random = np.random.default_rng(5)
    centres = random.normal(size=(7, 12)) * 3
    centres[1] = centres[0] + 0.8
    clusters = [centre + random.normal(size=(22, 12)) * (0.4 + 0.2 * index) for index, centre in enumerate(centres)]
    rows = np.concatenate(clusters).astype(np.float32)
    rows[-1] = rows[-2]
    return np.round(rows, 4)


def main():
    rows = points()
    tsne = TSNE(perplexity=PERPLEXITY, method="exact", init="pca", learning_rate="auto", max_iter=1000)
    plane = tsne.fit_transform(rows)
    fixture = {
        "sklearn": sklearn.__version__,
        "perplexity": PERPLEXITY,
        "neighbours": NEIGHBOURS,
        "rows": [[round(float(value), 4) for value in row] for row in rows],
        "plane": [[round(float(value), 5) for value in point] for point in plane],
        "divergence": float(tsne.kl_divergence_),
        "trustworthiness": float(trustworthiness(rows, plane, n_neighbors=NEIGHBOURS)),
    }
    OUT.write_text(json.dumps(fixture) + "\n")
    print(f"{len(rows)} points, divergence {fixture['divergence']:.4f}, trustworthiness {fixture['trustworthiness']:.4f}")


if __name__ == "__main__":
    main()
