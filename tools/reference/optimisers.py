"""Writes the optimiser and schedule fixtures of `emoxide-train` from torch.optim.

Five steps of a linear regression with each optimiser; the rates of torch's schedulers over a run.
Versions: torch 2.15.0. Run from the repository root: python tools/reference/optimisers.py
"""

import json
from pathlib import Path

import torch

OUT = Path("crates/emoxide-train/tests/fixtures")
STEPS = 5


def train(case, inputs, targets, weight, bias):
    weight, bias = weight.clone().requires_grad_(), bias.clone().requires_grad_()
    settings = dict(case["torch"])
    groups = [{"params": [weight]}, {"params": [bias]}]
    if case.get("spare_vectors"):
        groups[1]["weight_decay"] = 0.0
    for group, name in zip(groups, ["weight", "bias"]):
        if name in case["config"].get("factors", {}):
            group["lr"] = settings["lr"] * case["config"]["factors"][name]
    optimiser = getattr(torch.optim, case["class"])(groups, **settings)
    losses = []
    for _ in range(STEPS):
        optimiser.zero_grad()
        loss = (inputs @ weight + bias - targets).square().mean()
        loss.backward()
        if "clip" in case:
            torch.nn.utils.clip_grad_norm_([weight, bias], case["clip"])
        optimiser.step()
        losses.append(loss.item())
    return {
        "config": case["config"],
        "losses": losses,
        "weight": weight.detach().flatten().tolist(),
        "bias": bias.detach().tolist(),
    }


def optimisers():
    torch.manual_seed(11)
    rows, width, outputs = 6, 3, 4
    inputs, targets = torch.randn(rows, width), torch.randn(rows, outputs)
    weight, bias = torch.randn(width, outputs), torch.randn(outputs)
    cases = [
        {"class": "SGD", "torch": {}, "config": {"kind": "sgd"}},
        {
            "class": "SGD",
            "torch": {"lr": 0.05, "momentum": 0.9, "weight_decay": 5e-4, "nesterov": True},
            "config": {"kind": "sgd", "rate": 0.05, "momentum": 0.9, "weight_decay": 5e-4, "nesterov": True},
        },
        {
            "class": "SGD",
            "torch": {"lr": 0.1, "momentum": 0.8, "dampening": 0.25},
            "config": {"kind": "sgd", "rate": 0.1, "momentum": 0.8, "dampening": 0.25},
        },
        {
            "class": "SGD",
            "torch": {"lr": 0.1, "momentum": 0.9, "weight_decay": 2e-4},
            "config": {"kind": "sgd", "rate": 0.1, "momentum": 0.9, "weight_decay": 2e-4, "factors": {"weight": 0.1}},
        },
        {
            "class": "SGD",
            "torch": {"lr": 0.1, "momentum": 0.9},
            "clip": 0.5,
            "config": {"kind": "sgd", "rate": 0.1, "momentum": 0.9, "clip_norm": 0.5},
        },
        {"class": "Adam", "torch": {}, "config": {"kind": "adam"}},
        {
            "class": "Adam",
            "torch": {"lr": 0.03, "betas": (0.8, 0.99), "eps": 1e-6, "weight_decay": 0.1},
            "config": {"kind": "adam", "rate": 0.03, "betas": [0.8, 0.99], "eps": 1e-6, "weight_decay": 0.1},
        },
        {"class": "AdamW", "torch": {}, "config": {"kind": "adamw"}},
        {
            "class": "AdamW",
            "torch": {"lr": 0.05, "weight_decay": 0.3},
            "spare_vectors": True,
            "clip": 1.0,
            "config": {
                "kind": "adamw",
                "rate": 0.05,
                "weight_decay": 0.3,
                "no_decay_on_norm_and_bias": True,
                "clip_norm": 1.0,
            },
        },
    ]
    return {
        "torch": torch.__version__,
        "rows": rows,
        "width": width,
        "outputs": outputs,
        "steps": STEPS,
        "inputs": inputs.flatten().tolist(),
        "targets": targets.flatten().tolist(),
        "weight": weight.flatten().tolist(),
        "bias": bias.tolist(),
        "cases": [train(case, inputs, targets, weight, bias) for case in cases],
    }


def rates(scheduler, settings, count):
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    schedule = getattr(torch.optim.lr_scheduler, scheduler)(optimiser, **settings)
    found = []
    for _ in range(count):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    return found


def schedules():
    epochs, steps = 12, 5
    cases = [
        ("epoch", {"kind": "step", "every": 4, "gamma": 0.5}, "StepLR", {"step_size": 4, "gamma": 0.5}),
        ("epoch", {"kind": "step", "every": 5}, "StepLR", {"step_size": 5}),
        ("epoch", {"kind": "multi-step", "milestones": [3, 7, 8], "gamma": 0.2}, "MultiStepLR", {"milestones": [3, 7, 8], "gamma": 0.2}),
        ("epoch", {"kind": "exponential", "gamma": 0.9}, "ExponentialLR", {"gamma": 0.9}),
        ("epoch", {"kind": "cosine", "per": "epoch"}, "CosineAnnealingLR", {"T_max": epochs}),
        ("epoch", {"kind": "polynomial", "per": "epoch", "power": 0.9}, "PolynomialLR", {"total_iters": epochs, "power": 0.9}),
        ("step", {"kind": "multi-step", "milestones": [7, 31], "gamma": 0.3, "per": "step"}, "MultiStepLR", {"milestones": [7, 31], "gamma": 0.3}),
        ("step", {"kind": "cosine", "final_rate": 0.002}, "CosineAnnealingLR", {"T_max": epochs * steps, "eta_min": 0.002}),
        ("step", {"kind": "polynomial", "power": 2.0}, "PolynomialLR", {"total_iters": epochs * steps, "power": 2.0}),
    ]
    return {
        "torch": torch.__version__,
        "base_rate": 0.1,
        "epochs": epochs,
        "steps_per_epoch": steps,
        "cases": [
            {"config": config, "per": per, "rates": rates(name, settings, epochs if per == "epoch" else epochs * steps)}
            for per, config, name, settings in cases
        ],
    }


def main():
    torch.set_num_threads(1)
    for path, fixture in [("optimiser/steps.json", optimisers()), ("schedule/rates.json", schedules())]:
        (OUT / path).parent.mkdir(parents=True, exist_ok=True)
        (OUT / path).write_text(json.dumps(fixture, indent=1) + "\n")


if __name__ == "__main__":
    main()
