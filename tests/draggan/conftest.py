"""Fixtures of the tests of faces."""

from photo_face import face, found, perceptual, photo_path  # noqa: F401
