"""Writes the loss fixtures of `emoxide-train`: values and gradients of torch.nn.functional.cross_entropy, of the sparse
centre loss (Farzaneh and Qi, 2021) with the rule by which its centres move, of PCM's three terms with every reading of its
orthogonality, and of the losses of CAFE's groups of channels (Zhang et al., 2024).

Versions: torch 2.15.0. Run from the repository root: python tools/reference/losses.py
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F

OUT = Path("crates/emoxide-train/tests/fixtures/loss")


def cross_entropy():
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

    return {"torch": torch.__version__, "batch": batch, "classes": classes, "logits": logits.flatten().tolist(), "cases": cases}


class SparseCentre(torch.autograd.Function):
    """Half the mean over the batch of the attention-weighted squares; the centres have no gradient but a rule."""

    @staticmethod
    def forward(ctx, embedding, attention, centres, labels):
        apart = embedding - centres[labels]
        ctx.save_for_backward(apart, attention, centres, labels)
        return (attention * apart**2).sum() / (2 * len(labels))

    @staticmethod
    def backward(ctx, upstream):
        apart, attention, centres, labels = ctx.saved_tensors
        batch = len(labels)
        rule = torch.zeros_like(centres)
        for k in range(len(centres)):
            mine = labels == k
            rule[k] = -(attention * apart)[mine].sum(0) / (mine.sum() + 1)
        return upstream * attention * apart / batch, upstream * apart**2 / (2 * batch), rule, None


def sparse_centre():
    torch.manual_seed(5)
    batch, classes, width = 6, 4, 5
    weight, rate, smoothing = 0.3, 0.5, 0.1
    logits, embedding = torch.randn(batch, classes), torch.randn(batch, width)
    attention, centres = torch.rand(batch, width), torch.randn(classes, width)
    labels = torch.tensor([2, 0, 2, 1, 2, 0])  # no picture of the last class
    fixture = {
        "torch": torch.__version__,
        "batch": batch,
        "classes": classes,
        "width": width,
        "weight": weight,
        "rate": rate,
        "label_smoothing": smoothing,
        "labels": labels.tolist(),
    }
    inputs = {"logits": logits, "embedding": embedding, "attention": attention}
    fixture |= {name: value.flatten().tolist() for name, value in (inputs | {"centres": centres}).items()}
    centres = torch.nn.Parameter(centres)
    follow = torch.optim.SGD([centres], lr=rate)
    steps = []
    for _ in range(3):
        leaves = {name: value.clone().requires_grad_() for name, value in inputs.items()}
        loss = F.cross_entropy(leaves["logits"], labels, label_smoothing=smoothing)
        loss = loss + weight * SparseCentre.apply(leaves["embedding"], leaves["attention"], centres, labels)
        follow.zero_grad()
        loss.backward()
        follow.step()
        step = {name: leaf.grad.flatten().tolist() for name, leaf in leaves.items()}
        steps.append(step | {"loss": loss.item(), "centres": centres.detach().flatten().tolist()})
    return fixture | {"steps": steps}


def orthogonality(branches, reading, stages):
    """Of branches `[batch, stages, branches, width]`, pair by pair."""
    batch, _, count, _ = branches.shape
    unit = F.normalize(branches, dim=3, eps=1e-8)
    total = branches.new_zeros(())
    for m in range(count):
        for n in range(count):
            cosine, dot = (unit[:, :, m] * unit[:, :, n]).sum(2), (branches[:, :, m] * branches[:, :, n]).sum(2)
            if reading == "paper-literal":
                part = -dot
            elif reading == "gram-identity":
                part = (cosine - float(m == n)) ** 2 / max(count * (count - 1), 1)
            elif m == n:
                continue
            else:
                part = dot if reading == "dot-offdiag" else cosine / (count * (count - 1))
            total = total + (part.mean(1) if stages == "mean" else part.sum(1)).sum()
    return total / batch


def parallel():
    torch.manual_seed(9)
    shape, classes = (3, 2, 4, 5), 7
    # As behind a rectifier: many zeros, and one branch that sees nothing at all.
    branches = torch.randn(shape).clamp(min=0.0)
    branches[1, 1, 3] = 0.0
    heads = {"global": torch.randn(shape[0], classes), "local": torch.randn(shape[0], classes)}
    labels = torch.tensor([2, 0, 6])
    fixture = {"torch": torch.__version__, "shape": shape, "classes": classes, "labels": labels.tolist()}
    fixture |= {name: value.flatten().tolist() for name, value in (heads | {"branches": branches}).items()}
    cases = []
    for reading in ["cosine-offdiag", "dot-offdiag", "gram-identity", "paper-literal"]:
        for stages in ["mean", "sum"]:
            leaf = branches.clone().requires_grad_()
            value = orthogonality(leaf, reading, stages)
            value.backward()
            # A vector of zeros has no direction, and so no slope that would mean anything: behind a rectifier it has none.
            leaf.grad[1, 1, 3] = 0.0
            cases.append(
                {
                    "orthogonality": {"reading": reading, "stages": stages},
                    "value": value.item(),
                    "gradient": leaf.grad.flatten().tolist(),
                }
            )
    whole = []
    for local_weight, weight in [(1.0, 1.0), (0.5, 2.0), (0.0, 1.0), (1.0, 0.0)]:
        leaves = {name: value.clone().requires_grad_() for name, value in heads.items()}
        loss = F.cross_entropy(leaves["global"], labels, label_smoothing=0.1)
        loss = loss + local_weight * F.cross_entropy(leaves["local"], labels, label_smoothing=0.1)
        loss = loss + weight * orthogonality(branches, "cosine-offdiag", "mean")
        loss.backward()
        gradients = {name: leaf.grad.flatten().tolist() for name, leaf in leaves.items()}
        whole.append(gradients | {"local_weight": local_weight, "weight": weight, "loss": loss.item()})
    return fixture | {"cases": cases, "whole": whole}


def group_maxima(embedding, classes, rest):
    """The largest channel of every group, by PyTorch's pool, or with the channels that are left over in the last group."""
    group = embedding.shape[1] // classes
    if not rest:
        return F.max_pool1d(embedding[:, None], group, group)[:, 0]
    groups = embedding.split([group] * (classes - 1) + [embedding.shape[1] - group * (classes - 1)], dim=1)
    return torch.stack([group.max(1).values for group in groups], dim=1)


def channel_separation():
    torch.manual_seed(7)
    batch, classes, channels, drop = 5, 7, 31, 2  # groups of 4, and 3 channels left over
    group = channels // classes
    labels = torch.tensor([3, 0, 6, 6, 2])
    # In some groups all channels are negative, so that a dropped one is the largest.
    inputs = {"logits": torch.randn(batch, classes), "embedding": torch.randn(batch, channels) - 0.5}

    def kept(rows):
        blocks = [group] * (classes - 1) + [channels - group * (classes - 1)]
        row = lambda: torch.cat([(torch.randperm(size) >= drop).float() for size in blocks])
        return torch.stack([row() for _ in range(rows)])

    cases = []
    for name, separation, diverse, rest, paper, rows in [
        ("paper", 1.5, 5.0, False, False, 1),
        ("equation", 1.5, 5.0, False, True, 1),
        ("every picture", 1.5, 5.0, False, False, batch),
        ("all channels", 1.5, 5.0, True, False, 1),
        ("separation", 1.5, 0.0, False, False, 1),
        ("diversity", 0.0, 5.0, False, True, 1),
    ]:
        stays = kept(rows)
        leaves = {name: value.clone().requires_grad_() for name, value in inputs.items()}
        embedding = leaves["embedding"]
        loss = F.cross_entropy(leaves["logits"], labels)
        loss = loss + separation * F.cross_entropy(group_maxima(embedding * stays, classes, rest), labels)
        maxima = group_maxima(embedding, classes, rest)
        loss = loss + diverse * (1 - maxima.sum() / (batch * group * (1 if paper else classes)))
        loss.backward()
        case = {"name": name, "separation": separation, "diverse": diverse, "kept": stays.flatten().tolist()}
        case |= {"groups": "all" if rest else "equal", "divisor": "paper" if paper else "code"}
        cases.append(case | {"loss": loss.item()} | {name: leaf.grad.flatten().tolist() for name, leaf in leaves.items()})
    fixture = {"torch": torch.__version__, "batch": batch, "classes": classes, "channels": channels, "drop": drop}
    fixture |= {name: value.flatten().tolist() for name, value in inputs.items()}
    return fixture | {"labels": labels.tolist(), "cases": cases}


def main():
    torch.set_num_threads(1)
    OUT.mkdir(parents=True, exist_ok=True)
    fixtures = {
        "cross_entropy": cross_entropy(),
        "sparse_centre": sparse_centre(),
        "parallel": parallel(),
        "channel_separation": channel_separation(),
    }
    for name, fixture in fixtures.items():
        (OUT / f"{name}.json").write_text(json.dumps(fixture, indent=1) + "\n")


if __name__ == "__main__":
    main()
