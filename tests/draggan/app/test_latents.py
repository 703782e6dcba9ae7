"""Latents in a session of the app. What is in their files: tests/draggan/test_latents.py."""

import shutil
import zipfile

import numpy as np
import pytest
from app_sessions import session, sessions  # noqa: F401

from draggan.app import projects
from draggan.app.texts import EN, ZH, TranslatedError
from draggan.latents import read_latents


def sent(path, tmp_path):
    """A copy, as an upload: it is deleted when it was read."""
    (tmp_path / "sent").mkdir(exist_ok=True)
    return shutil.copy(path, tmp_path / "sent" / path.name)


def test_a_latent_is_downloaded_and_opened_again(session, tmp_path, generator):  # noqa: F811
    face, picture = session.face, session.face.picture.copy()
    latent = session.stage.save_latent()
    (styles,) = read_latents(latent, generator).values()
    assert styles.shape == face.styles.shape
    session.generate(6)
    path = sent(latent, tmp_path)
    message = projects.open_file(session, path, "mine.npz")
    assert message == ("latents_opened", {"count": 1, "all": 1})
    assert session.view().message == message
    assert np.array_equal(session.face.picture, picture)
    assert not list((tmp_path / "sent").iterdir())
    view = session.view()
    assert (view.seed, view.photo.before) == (None, None)
    assert view.gallery[-1][1].text().strip() == "latent"
    assert view.gallery[-1][1].text("zh-CN").strip() == ZH["title_latent"]
    session.choose_edit("smile", 0.5, at_once=True)
    list(session.watch(every=0.02))
    assert session.face.subject.seed is None
    assert not np.array_equal(session.face.picture, picture)
    shown = session.face.picture.copy()

    # A project keeps it, and the ZIP has its latent.
    with zipfile.ZipFile(session.stage.save_all()) as archive:
        names = archive.namelist()
    assert [name for name in names if name.endswith("_latent.npz")] == [
        "01_seed5_seed_latent.npz",
        "02_seed6_seed_latent.npz",
        "03_latent_latent_latent.npz",
        "04_latent_smile_0.5_latent.npz",
    ]
    path = sent(projects.write(session), tmp_path)
    projects.open_file(session, path, "work.draggan")
    assert session.face.subject.seed is None
    assert np.array_equal(session.face.picture, shown)


def test_many_faces_of_a_file(session, tmp_path, generator):  # noqa: F811
    w = np.stack([generator.seed_styles(seed)[0, 0].numpy() for seed in range(14)])
    np.save(tmp_path / "w.npy", w)
    message = projects.open_file(session, tmp_path / "w.npy", "w.npy")
    assert message.values == {"count": projects.MOST_LATENTS, "all": 14}
    assert np.array_equal(session.face.picture, generator.picture(generator.seed_styles(0)))
    assert len(session.history.entries) == 1 + projects.MOST_LATENTS


def test_what_is_none(session, tmp_path):  # noqa: F811
    (tmp_path / "a.npz").write_bytes(b"no latents")
    with pytest.raises(TranslatedError) as raised:
        projects.open_file(session, tmp_path / "a.npz", "a.npz")
    assert raised.value.key == "latents_unreadable"
    assert "a.npz cannot be read as latents" in str(raised.value)
    assert raised.value.message.text("zh-CN").startswith("a.npz 不能作为隐变量读取（")
    np.save(tmp_path / "c.npy", np.ones((3, 7), np.float32))
    with pytest.raises(TranslatedError) as raised:
        projects.open_file(session, tmp_path / "c.npy", "c.npy")
    assert raised.value.message.text("zh-CN").startswith("c.npy 中没有可作为隐变量的数值；")
    assert not (tmp_path / "a.npz").exists()
    (tmp_path / "b.draggan").write_bytes(b"no project")
    with pytest.raises(TranslatedError) as raised:
        projects.open_file(session, tmp_path / "b.draggan", "b.draggan")
    assert raised.value.key == "bad_project"
    assert {"save_latent", "latents_opened", "latents_unreadable", "title_latent"} <= EN.keys() & ZH.keys()
