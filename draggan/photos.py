"""Photos as people bring them: opened with all their oddities, faces found, the edited photo written.

    photo = open_photo(Path("party.jpg"))            # PhotoError: one sentence, for whatever is wrong with it
    for notice in photo.notices: print(notice)
    faces = find_faces(photo, detector)              # largest first; PhotoError where there is none
    photo.write(Path("party_smile.png"), pixels)     # edited pixels, in the photo's own colour space

`Photo.pixels` is what everything else works on: upright, RGB, sRGB.
"""

import io
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from common.commandline import write_atomically
from draggan.face_search import search
from draggan.frame import frame
from draggan.landmarks import Detection, LandmarkDetector
from draggan.photo_formats import in_eight_bits, is_heif, open_float_tiff, open_heif

# Other formats that Pillow knows are left out: some start programs, some are no photos.
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "PPM", "JPEG2000")
SUFFIXES = (
    ".jpg",
    ".jpeg",
    ".png",
    ".webp",
    ".avif",
    ".tif",
    ".tiff",
    ".bmp",
    ".gif",
    ".ppm",
    ".jp2",
    ".heic",
    ".heif",
)
MAX_PIXELS = 100_000_000
MAX_BYTES = 400_000_000
MIN_SIDE = 64  # pixels
MIN_EYES = 24  # pixels between the outer corners of the eyes
NOTE = "AI-edited: the face in this photo was changed by a neural network"


# Messages about a photo, by kind: why it cannot be used, and what was done to it. The app has them in Chinese, too.
MESSAGES = {
    "too_many_bytes": "{name} has more than {most} MB, too many for a photo",
    "unreadable": "{name} cannot be read ({reason}); give the path of a photo",
    "heic": "{name} is a HEIC photo, which cannot be read here; save or export it as JPEG",
    "no_picture": "{name} is not a picture that can be read; JPEG, PNG and WebP are fine",
    "too_large": "{name} has more than {most} megapixels{size}, which is the limit; make it smaller",
    "too_small": "{name} has {width} x {height} pixels, too few for a face; at least {least} on each side",
    "damaged": "{name} is damaged or was cut off; save or download it again",
    "no_face": "no face found in {name} (by {detector}), also not turned or enlarged; both eyes, nose and mouth "
    "should be seen",
    "small_face": "the largest face in {name} is too small: {widest:.0f} pixels between the outer eye corners, at "
    "least {least} are needed; take the photo at its full size, or from nearer",
    "turned_face": "what may be a face in {name} is turned too far, hidden or blurred (by {detector}); take a photo in "
    "which both eyes, nose and mouth are seen",
    "bad_face": "the face in {name} cannot be used: {reason}",
    "animated": "{name} is animated or has several pages: the first is taken",
    "exif": "{name} has unreadable EXIF data: it may lie on its side",
    "bits": "{name} has more than 8 bits a colour: the edited photo has 8",
    "holes": "{name} has pixels that are no numbers: they are black, infinite ones white",
    "cmyk": "{name} is a CMYK photo: the edited photo is RGB",
    "profile": "{name} has a broken colour profile: its colours are taken as sRGB",
}


class PhotoError(ValueError):
    """A photo cannot be used; the message says which, why, and what to do. Some have a kind and values of MESSAGES."""

    def __init__(self, message: str, kind: str | None = None, **values):
        super().__init__(message)
        self.kind, self.values = kind, values

    @classmethod
    def of(cls, kind: str, **values) -> "PhotoError":
        return cls(MESSAGES[kind].format(**values), kind, **values)


class Notice(str):
    """A sentence about what was done to a photo, of a kind of MESSAGES."""

    def __new__(cls, kind: str, name: str):
        notice = super().__new__(cls, MESSAGES[kind].format(name=name))
        notice.kind = kind
        return notice


@dataclass(frozen=True)
class Photo:
    """An opened photo."""

    name: str
    pixels: np.ndarray  # (H, W, 3) uint8, upright, sRGB, on white where it is transparent
    own: np.ndarray  # (H, W, 3) uint8, the same in the photo's own colour space
    grey: bool = False
    alpha: np.ndarray | None = None  # (H, W) uint8
    profile: bytes | None = None  # ICC, of `own`; None: sRGB
    notices: tuple[Notice, ...] = field(default=())  # what was done to it, a sentence each
    before: "Photo | None" = field(
        default=None, repr=False
    )  # as it came, of one that was edited; see `edited`

    def edited(self, pixels: np.ndarray) -> "Photo":
        """This photo with edited pixels (H, W, 3) uint8, sRGB: what further faces of it are edited in."""
        own = pixels if self.own is self.pixels else self.in_own_colours(pixels)
        return replace(self, pixels=pixels, own=own, before=self.unedited)

    @property
    def unedited(self) -> "Photo":
        return self.before or self

    def is_same(self, other: "Photo") -> bool:
        """Whether another one shows the same, whatever it is called."""
        same = self.grey == other.grey and self.profile == other.profile
        return same and all(
            (a is None) == (b is None) and (a is None or np.array_equal(a, b))
            for a, b in ((self.pixels, other.pixels), (self.own, other.own), (self.alpha, other.alpha))
        )

    def in_own_colours(self, pixels: np.ndarray) -> np.ndarray:
        """Edited sRGB pixels (H, W, 3) uint8 in the photo's own colour space; unchanged ones bit for bit."""
        if self.own is self.pixels:
            return pixels
        rows, columns = np.nonzero((pixels != self.pixels).any(axis=2))
        if not len(rows):
            return self.own
        box = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
        before, after = (self._convert_back(p[box]).astype(np.int16) for p in (self.pixels, pixels))
        out = self.own.copy()
        # The change alone is converted, so that a rounding of the conversion touches nothing else.
        out[box] = np.clip(out[box] + (after - before), 0, 255).astype(np.uint8)
        return out

    def _convert_back(self, pixels: np.ndarray) -> np.ndarray:
        if self.profile is None or self.grey:
            return pixels
        image = Image.fromarray(np.ascontiguousarray(pixels))
        return np.asarray(_convert(image, ImageCms.createProfile("sRGB"), _profile(self.profile)))

    def write(self, path: Path, pixels: np.ndarray, **note: str) -> None:
        """Write edited pixels (H, W, 3) uint8 as PNG, or JPEG by the path's ending.

        Colour profile and transparency are kept; other metadata (place, camera) is not. `note`: further
        texts for a PNG's metadata. UserError if the file cannot be written.
        """
        own = self.in_own_colours(pixels)
        image = Image.fromarray(own[..., 0] if self.grey else own)
        jpeg = path.suffix.lower() in (".jpg", ".jpeg")
        if self.alpha is not None and not jpeg:
            image.putalpha(Image.fromarray(self.alpha))
        if jpeg:
            exif = Image.Exif()
            exif[0x010E] = NOTE  # ImageDescription
            options = {"format": "JPEG", "quality": 95, "subsampling": 0, "exif": exif}
        else:
            info = PngInfo()
            for key, text in {"Comment": NOTE, **note}.items():
                info.add_text(key, text)
            options = {"format": "PNG", "pnginfo": info, "compress_level": 3}
        write_atomically(path, lambda part: image.save(part, icc_profile=self.profile, **options))


def open_photo(path: Path | str, name: str | None = None) -> Photo:
    """A photo from any file; PhotoError, saying what is wrong, where it is none that can be edited.

    At most MAX_PIXELS pixels. name: what to call it in messages, by default the file's name.
    """
    path = Path(path)
    name = name or path.name
    try:
        if path.stat().st_size > MAX_BYTES:
            raise PhotoError.of("too_many_bytes", name=name, most=MAX_BYTES // 1_000_000)
        data = path.read_bytes()
    except OSError as error:
        raise PhotoError.of("unreadable", name=name, reason=error.strerror) from None
    notices: list[Notice] = []
    image = _identified(data, name, notices)
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise _too_large(name, f" ({width} x {height})")
    if min(width, height) < MIN_SIDE:
        raise PhotoError.of("too_small", name=name, width=width, height=height, least=MIN_SIDE)
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
        notices.append(Notice("animated", name))
    try:
        image.seek(0)
        image.load()
    except Exception:  # decoders of broken files raise many kinds
        raise PhotoError.of("damaged", name=name) from None
    try:
        image = ImageOps.exif_transpose(image)
    except Exception:  # a broken EXIF block is no reason to refuse a photo
        notices.append(Notice("exif", name))
    return _as_photo(image, name, notices)


def _identified(data: bytes, name: str, notices: list[Notice]) -> Image.Image:
    """A picture, as a rule not decoded yet; PhotoError where it is none that is known."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large pictures, whose size is looked at later
            if is_heif(data):
                if (image := open_heif(data)) is None:
                    raise PhotoError.of("heic", name=name)
                return image
            Image.init()
            known = [name for name in FORMATS if name in Image.OPEN]  # AVIF is not in every build
            try:
                return Image.open(io.BytesIO(data), formats=known)
            except UnidentifiedImageError:
                if (values := open_float_tiff(data, MAX_PIXELS)) is None:
                    raise
                return _deep(values, name, notices)
    except Image.DecompressionBombError:
        raise _too_large(name) from None
    except OverflowError as error:
        raise _too_large(name, f" ({error.args[0]} x {error.args[1]})") from None
    except PhotoError:
        raise
    except Exception:  # whatever bytes that are no picture set off in a decoder
        raise PhotoError.of("no_picture", name=name) from None


def _too_large(name: str, size: str = "") -> PhotoError:
    return PhotoError.of("too_large", name=name, most=MAX_PIXELS // 1_000_000, size=size)


def _deep(values: np.ndarray, name: str, notices: list[Notice]) -> Image.Image:
    """A picture of numbers with more than 8 bits, (H, W) or (H, W, 3 or 4)."""
    pixels, holes = in_eight_bits(values)
    notices += [Notice("bits", name), *([Notice("holes", name)] if holes else [])]
    return Image.fromarray(np.ascontiguousarray(pixels))


def _as_photo(image: Image.Image, name: str, notices: list[Notice]) -> Photo:
    """From any mode to RGB; the profile is applied, and kept where the colours stay in it."""
    profile, alpha = image.info.get("icc_profile"), None
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        image = _deep(np.asarray(image), name, notices)
    elif image.mode == "CMYK":
        notices.append(Notice("cmyk", name))
        try:
            if profile:
                image = _convert(image, _profile(profile), ImageCms.createProfile("sRGB"))
        except (ImageCms.PyCMSError, OSError):
            pass
        profile = None
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = np.array(image.getchannel("A"))
        alpha = None if (alpha == 255).all() else alpha
    grey_mode = image.mode in ("1", "L")
    rgb = image.convert("RGB")
    own = pixels = np.array(rgb)
    if profile and not grey_mode:
        try:
            given = _profile(profile)
            if "srgb" not in ImageCms.getProfileDescription(given).lower():
                pixels = np.array(_convert(rgb, given, ImageCms.createProfile("sRGB")))
                _convert(rgb.crop((0, 0, 1, 1)), ImageCms.createProfile("sRGB"), given)  # and back, later
        except (ImageCms.PyCMSError, OSError):
            own, profile = pixels, None
            notices.append(Notice("profile", name))
    if alpha is not None:
        share = (alpha / 255.0).astype(np.float32)[..., None]
        pixels = np.rint(pixels * share + 255 * (1 - share)).astype(np.uint8)
    grey = grey_mode or bool((pixels == pixels[..., :1]).all())
    return Photo(name, pixels, own, grey, alpha, profile, tuple(notices))


def _profile(data: bytes) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(io.BytesIO(data))


def _convert(image: Image.Image, source, target) -> Image.Image:
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
    return ImageCms.profileToProfile(
        image, source, target, renderingIntent=intent, outputMode="RGB", flags=flags
    )


def find_faces(photo: Photo, detector: LandmarkDetector) -> list[Detection]:
    """All faces of a photo that are large enough, largest first, whichever way up it is; see face_search.py.

    PhotoError where there is none, which says whether one was seen that is too small, or may be hidden.
    """
    found = search(photo.pixels, detector)
    large = [face for face in found.faces if frame(face.points).unit >= MIN_EYES]
    if large:
        return large
    if found.faces:
        widest = max(frame(face.points).unit for face in found.faces)
        raise PhotoError.of("small_face", name=photo.name, widest=widest, least=MIN_EYES)
    kind = "turned_face" if found.doubtful else "no_face"
    raise PhotoError.of(kind, name=photo.name, detector=detector.name)
