"""Read an OpenVINO IR v10 pair (``.xml`` graph, ``.bin`` weights) as plain data.

Just enough to take the weights out of an exported network: nothing is executed, the layer types are
checked against the few that the export of MobileStyleGAN uses, and every constant must lie inside the
weights file. Format: https://docs.openvino.ai (IR v10: layers, edges, constants by offset and size).
"""

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .plain_objects import one_line

MOST_LETTERS = 1000  # of a message: names in a file may be of any length
ELEMENT_TYPES = {"f32": np.dtype("<f4"), "i32": np.dtype("<i4"), "i64": np.dtype("<i8")}

LAYER_TYPES = frozenset(
    """Add Broadcast Concat Const Convolution Gather GroupConvolution GroupConvolutionBackpropData MatMul
    Multiply PReLU Parameter Power ReduceMean Reshape Result ShapeOf Squeeze Tile Unsqueeze
    VariadicSplit""".split()
)


class IRError(ValueError):
    """The files are not the network that was expected; the message says what was met, in one line."""

    def __init__(self, text: str):
        super().__init__(one_line(text)[:MOST_LETTERS])


@dataclass
class Layer:
    """One layer: its inputs in port order and, for a constant, its value."""

    id: str
    type: str
    name: str
    attributes: dict[str, str]
    inputs: list["Layer"] = field(default_factory=list)
    consumers: list["Layer"] = field(default_factory=list)
    value: np.ndarray | None = None

    def constant(self, port: int) -> np.ndarray:
        """Value of the constant on input ``port``; IRError if something else feeds it."""
        if port >= len(self.inputs) or self.inputs[port].value is None:
            raise IRError(f"layer {self.name!r} ({self.type}) has no constant on input {port}")
        return self.inputs[port].value


def read_ir(xml: Path, bin: Path) -> list[Layer]:
    """All layers of the network, inputs and consumers linked, constants as read-only arrays.

    Raises IRError for a broken file, an unknown version, layer or element type, or a constant that lies
    outside the weights file or does not fill its shape.
    """
    text = Path(xml).read_bytes()
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:  # no entities: they can blow up while parsing
        raise IRError(f"{xml}: document types and entities are not allowed")
    try:
        net = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise IRError(f"{xml}: not an XML file ({error})") from None
    if net.tag != "net" or net.get("version") != "10":
        raise IRError(f"{xml}: expected OpenVINO IR version 10, met <{net.tag} version={net.get('version')}>")

    weights = Path(bin).read_bytes()
    layers: dict[str, Layer] = {}
    for element in net.findall("layers/layer"):
        data = element.find("data")
        layer = Layer(
            id=element.get("id", ""),
            type=element.get("type", ""),
            name=element.get("name", ""),
            attributes=dict(data.attrib) if data is not None else {},
        )
        if layer.type not in LAYER_TYPES:
            raise IRError(f"{xml}: unknown layer type {layer.type!r} (layer {layer.name!r})")
        if layer.type == "Const":
            layer.value = _constant(layer, weights)
        layers[layer.id] = layer
    edges = [
        (int(e.get("to-port", 0)), layers.get(e.get("from-layer", "")), layers.get(e.get("to-layer", "")))
        for e in net.findall("edges/edge")
    ]
    for _, source, target in sorted(edges, key=lambda edge: edge[0]):
        if source is None or target is None:
            raise IRError(f"{xml}: an edge leads to a layer that is not in the file")
        target.inputs.append(source)
        source.consumers.append(target)
    return list(layers.values())


def _constant(layer: Layer, weights: bytes) -> np.ndarray:
    a = layer.attributes
    try:
        shape = tuple(int(n) for n in a["shape"].split(",") if n.strip())
        offset, size = int(a["offset"]), int(a["size"])
        kind = a["element_type"]
    except (KeyError, ValueError) as error:
        raise IRError(f"constant {layer.name!r}: unreadable shape, offset or size ({error})") from None
    if kind not in ELEMENT_TYPES:
        raise IRError(f"constant {layer.name!r}: unknown element type {kind!r}")
    dtype = ELEMENT_TYPES[kind]
    count = int(np.prod(shape, dtype=object)) if shape else 1
    if min(shape, default=1) < 0 or size != count * dtype.itemsize:
        raise IRError(f"constant {layer.name!r}: {size} bytes do not hold the shape {shape}")
    if offset < 0 or offset + size > len(weights):
        raise IRError(
            f"constant {layer.name!r}: bytes {offset}-{offset + size} lie outside the weights "
            f"file of {len(weights)} bytes (cut short?)"
        )
    return np.frombuffer(weights, dtype, count, offset).reshape(shape)
