"""Fixtures of the tests of faces."""

from photo_face import cut_out, found, perceptual, photo_path  # noqa: F401
