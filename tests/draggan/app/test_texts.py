"""The texts in both languages."""

from common.commandline import UserError
from draggan.app.jobs import begun
from draggan.app.settings import SETTINGS
from draggan.app.texts import EN, ZH, TranslatedError, error_message, say
from draggan.face import NoFaceError
from draggan.points import PointsTask


def test_texts_are_complete_and_alike():
    assert EN.keys() == ZH.keys()
    for key in EN:
        assert EN[key].count("{") == ZH[key].count("{"), key
    assert say("start", "zh-CN") == "开始"
    assert "没有进展" in say("not_done", "zh-CN", edit=["smile"], step=3, share=0.5, reason="no progress")
    for reason in (
        "the landmarks have arrived",
        "on target",
        "no progress",
        "step limit",
        "the face was lost",
    ):
        assert reason in ZH


def test_words_of_the_trade_are_kept_to_the_advanced_settings():
    advanced = {key for name in SETTINGS for key in (name, f"{name}_info")} | {
        "bad_points"
    }  # which scripts read
    for table in (EN, ZH):
        found = [
            (key, word)
            for key in table.keys() - advanced
            for word in ("W+", "λ", "style row", "supervision", "handle", "512)", "W (")
            if word in table[key].replace("{handle}", "")
        ]
        assert not found
    for language in ("en", "zh"):
        said = say("latents_unreadable", language, name="a.jpg", reason="no header")
        assert say("my_photo", language) in said  # where a photo goes
    assert begun(PointsTask.__new__(PointsTask)).text() == "Dragging …"


def test_the_log_tells_of_faults_and_not_of_what_a_person_can_mend(caplog):
    for error in (TranslatedError("closed"), UserError("no such file"), NoFaceError("none")):
        error_message(error)
    assert not caplog.records
    assert error_message(RuntimeError("broken\npipe")).text() == "That did not work: broken"
    (record,) = caplog.records
    assert "broken\npipe" in str(record.exc_info[1])
