"""Writes the metric fixtures of `emoxide-train`: scikit-learn's figures on made-up predictions.

Cases hold absent classes, ties, a class that is only ever predicted, and a single image.
Versions: scikit-learn 1.9.1, numpy 2.4.6, scipy 1.17.1. Run from the repository root: python tools/reference/metrics.py
"""

import json
import warnings
from pathlib import Path

import numpy as np
import scipy
import sklearn
from scipy.optimize import minimize_scalar
from sklearn import metrics

OUT = Path("crates/emoxide-train/tests/fixtures/metrics/sklearn.json")
NAMES = ["neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"]


def softmax(logits):
    values = np.exp(logits - logits.max(1, keepdims=True))
    return values / values.sum(1, keepdims=True)


def nll(labels, logits, temperature):
    values = softmax(logits / temperature)
    return -np.log(values[np.arange(len(labels)), labels]).mean()


def calibration_error(labels, probabilities, bins=15):
    confidence, predicted = probabilities.max(1), probabilities.argmax(1)
    edges, error = np.linspace(0, 1, bins + 1), 0.0
    for low, high in zip(edges[:-1], edges[1:]):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            error += inside.mean() * abs((predicted == labels)[inside].mean() - confidence[inside].mean())
    return error


def bootstrap(correct, draws=2000):
    random = np.random.default_rng(0)
    means = [correct[random.integers(0, len(correct), len(correct))].mean() for _ in range(draws)]
    return np.percentile(means, [2.5, 97.5]).tolist()


def areas(labels, scores):
    """One-vs-rest, none for a class that has no image or all of them."""
    both_sides = [0 < (labels == k).sum() < len(labels) for k in range(scores.shape[1])]
    return [float(metrics.roc_auc_score(labels == k, scores[:, k])) if ok else None for k, ok in enumerate(both_sides)]


def mean(values):
    values = [value for value in values if value is not None]
    return float(np.mean(values)) if values else None


def case(name, labels, probabilities, logits=None):
    probabilities = probabilities.astype(np.float32)
    exact, predicted = probabilities.astype(np.float64), probabilities.argmax(1)
    classes = list(range(probabilities.shape[1]))
    auc = areas(labels, exact)
    if None not in auc and len(classes) > 2:
        whole = metrics.roc_auc_score(labels, exact, multi_class="ovr", average="macro")
        assert abs(whole - mean(auc)) < 1e-12
    logits = None if logits is None else logits.astype(np.float32)
    logit_auc = [None] * len(classes) if logits is None else areas(labels, logits.astype(np.float64))

    def averages(kind):
        found = metrics.precision_recall_fscore_support(labels, predicted, average=kind, zero_division=0)
        return dict(zip(["precision", "recall", "f1"], map(float, found)))

    each = metrics.precision_recall_fscore_support(labels, predicted, labels=classes, zero_division=0)
    return {
        "name": name,
        "classes": NAMES[: len(classes)],
        "labels": labels.tolist(),
        # The shortest decimals that give the same float32.
        "probabilities": [[float(str(value)) for value in row] for row in probabilities],
        "logits": None if logits is None else [[float(str(value)) for value in row] for row in logits],
        "accuracy": metrics.accuracy_score(labels, predicted),
        "mean_class_accuracy": metrics.balanced_accuracy_score(labels, predicted),
        "macro_average": averages("macro"),
        "weighted_average": averages("weighted"),
        "per_class": [
            {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(s), "auc": a, "logit_auc": l}
            for p, r, f, s, a, l in zip(*each, auc, logit_auc)
        ],
        "confusion": metrics.confusion_matrix(labels, predicted, labels=classes).tolist(),
        "auc": mean(auc),
        "logit_auc": mean(logit_auc),
        "ece": calibration_error(labels, exact),
        "nll": metrics.log_loss(labels, exact, labels=classes),
        "interval": bootstrap(predicted == labels),
    }


def main():
    warnings.simplefilter("ignore")
    random = np.random.default_rng(5)

    def draw(count, classes, share, sharpness=2.0):
        labels = random.choice(classes, size=count, p=share)
        logits = random.normal(size=(count, classes))
        logits[np.arange(count), labels] += 1.4
        return labels, logits * sharpness

    labels, logits = draw(240, 8, [0.35, 0.25, 0.12, 0.1, 0.1, 0.03, 0.03, 0.02])
    cases = [case("eight classes", labels, softmax(logits), logits)]

    some, values = draw(90, 7, [0.5, 0.3, 0.2, 0, 0, 0, 0])
    values[:, 5:] = -30.0
    cases.append(case("absent classes", some, softmax(values), values))

    some, values = draw(60, 7, [0.4, 0, 0.2, 0.2, 0.2, 0, 0])
    cases.append(case("predicted but never true", some, softmax(values * 0.4)))

    some, values = draw(120, 4, [0.25] * 4)
    eighths = np.floor(softmax(values / 2) * 8)
    eighths[np.arange(len(some)), 3] += 8 - eighths.sum(1)
    cases.append(case("ties", some, eighths / 8))

    cases.append(case("all alike", np.array([0, 1, 2, 2]), np.full((4, 3), 1 / 3)))
    cases.append(case("certain, once wrong", np.array([0, 1, 1]), np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])))
    cases.append(case("one image", np.array([1]), np.array([[0.2, 0.8]])))

    labels, logits = draw(150, 6, [1 / 6] * 6, sharpness=2.5)
    logits = logits.astype(np.float32).round(4)
    best = minimize_scalar(
        lambda t: nll(labels, logits.astype(np.float64), t), bounds=(0.05, 20), method="bounded", options={"xatol": 1e-9}
    )
    temperature = {
        "logits": [[float(str(value)) for value in row] for row in logits],
        "labels": labels.tolist(),
        "temperature": float(best.x),
    }
    fixture = {
        "sklearn": sklearn.__version__,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "cases": cases,
        "temperature": temperature,
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(fixture) + "\n")


if __name__ == "__main__":
    main()
