"""Files of CAFE and of CLIP, for `authors.py`: CAFE's own as its authors name them, and the image tower of its twin as OpenAI
and Hugging Face publish it, beside a text tower of a few numbers.

torch 2.15, safetensors.
"""

import copy
import re
import warnings
import zipfile
from collections import OrderedDict

import torch
from safetensors.torch import save_file
from torch import nn


def renamed(*rules):
    """Applies regular expressions to all names of a state dict."""

    def apply(state):
        out = OrderedDict()
        for name, value in state.items():
            for pattern, replacement in rules:
                name = re.sub(pattern, replacement, name)
            assert name not in out, name
            out[name] = value
        return out

    return apply


def masks(state):
    """CAFE's own checkpoints: layers by their numbers, without CLIP."""
    numbers = [(r"^mask\.conv1\.", "features.0."), (r"^mask\.bn1\.", "features.1.")]
    stages = [(rf"^mask\.layer{stage}\.", f"features.{stage + 3}.") for stage in (1, 2, 3, 4)]
    own = OrderedDict((name, value) for name, value in state.items() if not name.startswith("clip."))
    return renamed(*numbers, *stages)(own)


def tower(model):
    return OrderedDict((name, value) for name, value in model.state_dict().items() if name.startswith("clip."))


class Multimodal(nn.Module):
    """CLIP in OpenAI's names, in half precision but for norms, tokens and positions, beside a text tower."""

    def __init__(self, model):
        super().__init__()
        self.visual = copy.deepcopy(model.clip).requires_grad_(True)
        for name, value in self.visual.named_parameters():
            if not re.search(r"^ln_|\.ln_|_embedding$", name):
                value.data = value.data.half()
        self.positional_embedding = nn.Parameter(torch.zeros(3, 4))
        self.transformer = nn.ModuleDict({"resblocks": nn.ModuleList([nn.Linear(4, 4).half()])})
        self.text_projection = nn.Parameter(torch.zeros(4, 4).half())
        self.token_embedding = nn.Embedding(5, 4)
        self.ln_final = nn.LayerNorm(4)
        self.logit_scale = nn.Parameter(torch.tensor(4.6))
        for layer in [self.transformer, self.token_embedding]:
            for value in layer.parameters():
                nn.init.zeros_(value)
        self.register_buffer("input_resolution", torch.tensor(224))
        self.register_buffer("context_length", torch.tensor(77))
        self.register_buffer("vocab_size", torch.tensor(5))

    def forward(self, x):
        return x * self.logit_scale


def openai(path, model):
    """As OpenAI publishes it: an archive of a traced module. The buffers that say sizes are of whole numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        torch.jit.save(torch.jit.trace(Multimodal(model).eval(), torch.ones(1)), path)


def hugging_face(path, model):
    """The same in Hugging Face's names, with its text tower."""
    rules = [
        (r"^clip\.class_embedding$", "vision_model.embeddings.class_embedding"),
        (r"^clip\.conv1\.", "vision_model.embeddings.patch_embedding."),
        (r"^clip\.positional_embedding$", "vision_model.embeddings.position_embedding.weight"),
        (r"^clip\.ln_pre\.", "vision_model.pre_layrnorm."),
        (r"^clip\.ln_post\.", "vision_model.post_layernorm."),
        (r"^clip\.transformer\.resblocks\.", "vision_model.encoder.layers."),
        (r"\.ln_([12])\.", r".layer_norm\1."),
        (r"\.attn\.out_proj\.", ".self_attn.out_proj."),
        (r"\.mlp\.c_fc\.", ".mlp.fc1."),
        (r"\.mlp\.c_proj\.", ".mlp.fc2."),
    ]
    state = OrderedDict()
    for name, value in renamed(*rules)(tower(model)).items():
        if name == "clip.proj":
            state["visual_projection.weight"] = value.t().contiguous()
        elif found := re.match(r"(.*)\.attn\.in_proj_(weight|bias)$", name):
            for part, rows in zip("qkv", value.chunk(3)):
                state[f"{found[1]}.self_attn.{part}_proj.{found[2]}"] = rows.contiguous()
        else:
            state[name] = value
    state["vision_model.embeddings.position_ids"] = torch.arange(len(tower(model)["clip.positional_embedding"]))
    state["text_model.encoder.layers.0.self_attn.q_proj.weight"] = torch.zeros(4, 4)
    state |= {"text_projection.weight": torch.zeros(4, 4), "logit_scale": torch.tensor(4.6)}
    save_file({name: value.detach().clone() for name, value in state.items()}, path)


# Parts of a network: for each the ending of the file, who writes it and how its names are.
OPENAI = {"clip": ("pt", openai, "clip")}
HUGGING_FACE = {"clip": ("safetensors", hugging_face, "clip-hf")}


def hostile(path, target):
    """The same archive, whose pickle asks for another class than its modules' own."""
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(target, "w") as out:
        for entry in archive.infolist():
            data = archive.read(entry)
            if entry.filename.endswith("/data.pkl"):
                data = re.sub(rb"c__torch__\n?[^\n]*\n[^\n]*\n", b"cposix\nsystem\n", data, count=1)
            if "/code/" not in entry.filename:
                out.writestr(zipfile.ZipInfo(entry.filename), data)
