"""Writes the cross-entropy fixtures of `emoxide-train`: losses and gradients of torch.nn.functional.cross_entropy.

Versions: torch 2.15.0. Run from the repository root: python tools/reference/losses.py
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F

OUT = Path("crates/emoxide-train/tests/fixtures/loss/cross_entropy.json")


def main():
    torch.set_num_threads(1)
    torch.manual_seed(3)
    batch, classes = 5, 7
    logits = torch.randn(batch, classes) * 3
    labels = torch.tensor([0, 6, 2, 2, 5])
    one_hot = F.one_hot(labels, classes).float()
    votes = torch.rand(batch, classes).pow(3)
    votes = votes / votes.sum(1, keepdim=True)
    weights = torch.tensor([1.0, 9.4, 1.02, 0.57, 0.84, 1.29, 0.83])

    cases = []
    for name, target, soft, weight, smoothing in [
        ("hard", labels, False, None, 0.0),
        ("hard smoothed", labels, False, None, 0.1),
        ("hard weighted", labels, False, weights, 0.0),
        ("hard weighted smoothed", labels, False, weights, 0.2),
        ("soft", votes, True, None, 0.0),
        ("soft smoothed", votes, True, None, 0.1),
        ("soft weighted", votes, True, weights, 0.0),
        ("soft weighted smoothed", votes, True, weights, 0.2),
    ]:
        leaf = logits.clone().requires_grad_()
        loss = F.cross_entropy(leaf, target, weight=weight, label_smoothing=smoothing)
        loss.backward()
        cases.append(
            {
                "name": name,
                "soft": soft,
                "weights": None if weight is None else weight.tolist(),
                "label_smoothing": smoothing,
                "targets": (votes if soft else one_hot).flatten().tolist(),
                "loss": loss.item(),
                "gradient": leaf.grad.flatten().tolist(),
            }
        )

    fixture = {"torch": torch.__version__, "batch": batch, "classes": classes, "logits": logits.flatten().tolist(), "cases": cases}
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(fixture, indent=1) + "\n")


if __name__ == "__main__":
    main()
