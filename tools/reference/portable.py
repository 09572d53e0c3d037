"""Values that a test can compute again, bit for bit, so that fixtures need not hold weights.

The twin in Rust is `emoxide_testing::portable`.
"""

import copy

import numpy as np
import torch
from hashed import uniform


def tensor(name: str, shape) -> torch.Tensor:
    return torch.from_numpy(uniform(name, int(np.prod(shape)))).reshape(tuple(shape)).float()


def weight(name: str, shape) -> torch.Tensor:
    """A weight of the size that a trained network would have, told apart by the name and the number of axes."""
    value = tensor(name, shape).double()
    if name.endswith("running_var"):
        value = 1.0 + 0.5 * value
    elif name.endswith(("running_mean", "bias")):
        value = 0.1 * value
    elif len(shape) == 1:  # scales of norms, slopes
        value = 0.75 + 0.25 * value
        if name.endswith("bn3.weight"):
            # Small branches, as in trained networks: with large ones the gradient of fifty normed layers is chaotic, and
            # single precision alone moves it by more than its own size.
            value = 0.15 * value
    else:
        fan_in = int(np.prod(shape[1:]))
        value = value * (3.0 / fan_in) ** 0.5
    return value.float()


def fill(model: torch.nn.Module) -> None:
    state = model.state_dict()
    model.load_state_dict(
        {name: old if name.endswith("num_batches_tracked") else weight(name, old.shape) for name, old in state.items()}
    )


def samples(value: torch.Tensor, count: int = 8) -> torch.Tensor:
    """Evenly spaced values of a tensor, then its L2 norm."""
    flat = value.detach().double().flatten()
    index = [i * flat.numel() // count for i in range(count)] if flat.numel() > count else range(flat.numel())
    return torch.cat([flat[list(index)], flat.norm()[None]]).float()


def rounding(model, images, seams) -> list[dict]:
    """The gradients as single precision gives them: how far they are from double precision is how far anyone's may be. Once
    as it is, then with parameters off by a rounding or two: which activations single precision moves across the kink of a
    rectifier is a matter of luck."""
    runs = []
    for run in range(4):
        single = copy.deepcopy(model).float().train()
        with torch.no_grad():
            for name, value in single.named_parameters():
                value *= 1.0 + (4e-6 if run else 0.0) * tensor(f"{run} {name}", value.shape)
        _, _, logits = seams(single, images.float())
        (logits * tensor("cotangent", logits.shape)).sum().backward()
        runs.append({name: value.grad.double() for name, value in single.named_parameters() if value.requires_grad})
    return runs


def record(out: dict, case: str, model, images: torch.Tensor, seams) -> None:
    """Evaluation at three depths; then one training step's logits, statistics and gradients. `seams(model, images)` returns
    features, embedding and logits. The reference runs in double precision, so that its own rounding stays out."""
    noise = rounding(model, images, seams)
    model = model.double()
    model.eval()
    with torch.no_grad():
        features, embedding, logits = seams(model, images.double())
    keep = features if features.numel() <= 8192 else samples(features, 4096)
    out[f"{case}/features"], out[f"{case}/embedding"], out[f"{case}/logits"] = keep, embedding, logits
    model.train()
    _, _, logits = seams(model, images.double())
    out[f"{case}/train"] = logits
    (logits * tensor("cotangent", logits.shape).double()).sum().backward()
    for name, value in model.named_parameters():
        if not value.requires_grad:
            assert value.grad is None, name
            continue
        assert value.grad is not None, name
        out[f"{case}/grad/{name}"] = samples(value.grad)
        out[f"{case}/noise/{name}"] = torch.stack([(run[name] - value.grad).abs().max() for run in noise]).amax()[None]
    for name, value in model.named_buffers():
        if not name.endswith("num_batches_tracked"):
            out[f"{case}/stat/{name}"] = samples(value)


def save(out: dict, topic: str, crate: str = "emoxide") -> None:
    import pathlib

    from safetensors.torch import save_file

    path = pathlib.Path(__file__).parents[2] / f"crates/{crate}/tests/fixtures" / f"{topic}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.detach().float().contiguous() for name, value in out.items()}, path)
    print(path.name, path.stat().st_size, "bytes")
