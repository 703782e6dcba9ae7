"""Write a trained generator to one file that runs without this project.

    python export.py --checkpoint output/cgan/checkpoints/best.pt --format onnx --output cgan.onnx
    python export.py --checkpoint output/cgan/checkpoints/best.pt --format torchscript --output cgan.ts

The file takes a photo, uint8 (N, 3, H, W) in RGB, of any size, and gives the label picture, uint8 (N, 3, H, W). It
computes at the size that it is given: scale photos to the size of the training before, as predict.py does. ONNX needs
more packages: ``pip install onnx onnxscript onnxruntime``. What is written is compared with the network before.
"""

from common import interrupts  # noqa: F401  isort: skip  (first: Ctrl-C while the others load)

import contextlib
import importlib.util
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from common.commandline import UserError, option, parse, run, write_atomically
from FCN_network2 import Generator
from training.checkpoint import load_generator
from training.sizes import scaling_of

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
TRIED = ((2, 3, 64, 96), (1, 3, 45, 70))  # sizes at which a file is compared with the network
DIFFERENT = 0.005  # at most, of the pixels: where two colours are as likely, another order of sums may choose the other


@dataclass
class Options:
    """The options of export.py."""

    checkpoint: str | None = option(None, "last.pt or best.pt of a run (needed)")
    format: str = option("onnx", "kind of file", ("onnx", "torchscript"))
    output: str | None = option(None, "file to write (needed)")
    device: str = option("cpu", "accepted for uniformity; the file runs on any device", ("cpu",))
    seed: int = option(0, "accepted for uniformity; nothing here is random")


class Exported(nn.Module):
    """The generator with bytes in and out, and no branch that depends on the size."""

    def __init__(self, generator: Generator):
        super().__init__()
        self.generator = generator

    def forward(self, photo: Tensor) -> Tensor:
        """Photo uint8 (N, 3, H, W) -> label picture uint8 (N, 3, H, W)."""
        height, width = photo.shape[2], photo.shape[3]
        x = photo.float() / 127.5 - 1
        stride = self.generator.stride
        x = F.pad(x, (0, (-width) % stride, 0, (-height) % stride), mode="replicate")
        picture = self.generator.look(x).picture
        return ((picture[:, :, :height, :width] + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def check(paint: Callable[[Tensor], Tensor], module: Exported) -> None:
    """RuntimeError if ``paint`` does not paint what the network paints, at the sizes ``TRIED``."""
    for shape in TRIED:
        photo = torch.randint(0, 256, shape, dtype=torch.uint8)
        different = (paint(photo) != module(photo)).any(dim=1).float().mean().item()
        if different > DIFFERENT:
            raise RuntimeError(f"the file differs from the network in {different:.1%} of the pixels")


def to_torchscript(module: Exported) -> bytes:
    """A traced module, checked."""
    traced = torch.jit.trace(module, torch.randint(0, 256, (1, 3, 72, 101), dtype=torch.uint8))
    check(traced, module)
    stream = io.BytesIO()
    torch.jit.save(traced, stream)
    return stream.getvalue()


def to_onnx(module: Exported) -> bytes:
    """An ONNX model with free N, H and W, checked. UserError without the packages that write and run it."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"--format onnx needs {' and '.join(missing)}: pip install {' '.join(missing)}")
    import onnxruntime

    with contextlib.redirect_stdout(io.StringIO()):  # it reports every stage
        program = torch.onnx.export(
            module,
            (torch.randint(0, 256, (2, 3, 72, 101), dtype=torch.uint8),),
            input_names=["photo"],
            output_names=["label"],
            dynamic_shapes={"photo": {0: "N", 2: "H", 3: "W"}},
            dynamo=True,
        )
    data = program.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    check(lambda photo: torch.from_numpy(session.run(None, {"photo": photo.numpy()})[0]), module)
    return data


def main() -> None:
    options = parse(Options, __doc__)
    for name in ("checkpoint", "output"):
        if getattr(options, name) is None:
            raise UserError(f"--{name} is needed; `python export.py --help` lists the options")
    path = Path(options.output)
    if path.is_dir():
        raise UserError(f"--output {path} is a folder; give the name of a file")
    generator, found = load_generator(Path(options.checkpoint), torch.device("cpu"))
    warnings.filterwarnings("ignore")  # of exporters, about what they will do in other versions
    with torch.no_grad():
        module = Exported(generator).eval()
        data = to_onnx(module) if options.format == "onnx" else to_torchscript(module)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda part: part.write_bytes(data))
    scaling = scaling_of(found["options"])
    print(
        f"wrote {path} ({len(data) / 1e6:.1f} MB): photo -> label, uint8 (N, 3, H, W); trained on pictures {scaling}"
    )


if __name__ == "__main__":
    run(main)
