"""The texts in both languages."""

from draggan.app.texts import EN, ZH, say


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
