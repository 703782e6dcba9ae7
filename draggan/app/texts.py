"""All texts of the app, in English and Chinese: one table, and therefore a long file.

There are the page's labels, the messages of sessions, and what is wrong. A text's value that is itself a key is
translated, too: the name of an edit, why a drag ended. So are the messages of a tuple, and a list of keys.
"""

from typing import NamedTuple

from common.commandline import UserError
from draggan.face import NoFaceError
from draggan.photos import MESSAGES as PHOTO_MESSAGES


class Message(NamedTuple):
    """Something to tell a person: a key below, and the values of its text."""

    key: str
    values: dict = {}  # noqa: RUF012  never changed

    def text(self, language: str = "en") -> str:
        return say(self.key, language, **self.values)


class TranslatedError(UserError):
    """A user's error that is told in the person's language; `message` names the text. str() is the English one."""

    def __init__(self, key: str, **values):
        self.message = Message(key, values)
        super().__init__(self.message.text())

    @property
    def key(self) -> str:
        return self.message.key


EN = {
    # labels
    "title": "## DragGAN",
    "tagline": "Press an edit or click points, then **Start**.",
    "picture": "Picture: click a handle, then its target",
    "model": "Model",
    "fetch": "Fetch this model",
    "seed": "Seed",
    "random": "Random face",
    "generated": "Generated face",
    "my_photo": "My photo",
    "photo": "Photo: drop, paste or take one",
    "faces": "Faces in it: choose one",
    "preset": "Likeness",
    "fast": "Fast",
    "best": "Best, takes longer",
    "bring_in": "Use this face",
    "whole": "Whole photo",
    "download_photo": "Download whole photo",
    "one_click": "One click",
    "sliders": "Sliders",
    "strength": "Strength",
    "at_once": "Start at once",
    "at_once_info": "An edit does not wait for Start",
    "show_landmarks": "Show landmarks",
    "start": "Start",
    "stop": "Stop",
    "undo": "Undo",
    "redo": "Redo",
    "compare": "Before / after",
    "animation": "Animation",
    "download": "Download PNG",
    "download_animation": "Download animation",
    "history": "History: click to return",
    "advanced": "Advanced",
    "by_hand": "Points by hand",
    "x": "x, pixels",
    "y": "y, pixels",
    "place": "Put point",
    "move_last_point": "Move last point",
    "undo_point": "Undo point",
    "clear_points": "Clear points",
    "paint": "Paint the region",
    "use_region": "Use painted region",
    "clear_region": "Whole picture may change",
    "brush": "Paint what may change",
    "defaults": "Reset to defaults",
    "slim": "Slim face",
    "smile": "Smile",
    "close-eyes": "Close eyes",
    "open-eyes": "Open eyes",
    "big-eyes": "Big eyes",
    "open-mouth": "Open mouth",
    "raise-brows": "Raise brows",
    "why_not": "One-click edits need a model of faces: they place points by the landmarks of a face.",
    "lr": "Learning rate",
    "lr_info": "How far a step goes; higher is faster and rougher",
    "w_plus": "W+",
    "w_plus_info": "Each style row by itself; off: the whole face changes together",
    "free_rows": "Free style rows",
    "free_rows_info": "Rows from the first that may change; 0: what suits the model",
    "mask_weight": "λ of the mask",
    "mask_weight_info": "How firmly everything outside the region is held",
    "supervision_radius": "Supervision radius",
    "supervision_radius_info": "Pixels around a point that are pulled along (at 512)",
    "tracking_radius": "Tracking radius",
    "tracking_radius_info": "Pixels around a point in which it is looked for (at 512)",
    "max_steps": "Step limit",
    "max_steps_info": "The drag ends after so many steps",
    "tolerance": "Tolerance",
    "tolerance_info": "A point has arrived within so many pixels (at 512)",
    # notes
    "ready": "Choose an edit, or click a point of the picture and then where it shall go.",
    "ready_no_face": "This model does not make faces, so one-click edits are off. Points by hand work: click a point "
    "of the picture, then where it shall go.",
    "press_start": "Red points go to the blue ones; only the bright region may change. Press **Start**.",
    "press_start_points": "Click more points, or press **Start**: red points go to the blue ones.",
    "move_last": "Click where the last point belongs: it moves there.",
    "click_target": "Now click where this point shall go.",
    "click_handle": "Click a point that shall move.",
    "region_set": "Only the bright region may change. Click points, then press **Start**.",
    "region_off": "The whole picture may change.",
    "dragging": "Dragging …",
    "waiting": "Waiting: {place} before you.",
    "progress": "step {step} · mean distance {distance:.1f} px",
    "progress_photo": "step {step} of {steps} · about {left:.0f} s left",
    "photo_open": "{notices}Press **Use this face**: it is brought into the model, and can then be edited.",
    "photo_faces": "{notices}Face {chosen} of {count} is chosen. Choose another, or press **Use this face**.",
    "photo_search": "Bringing the face into the model. **Stop** keeps the best so far.",
    "photo_not_begun": "Stopped. **Use this face** begins again.",
    "photo_early": "Stopped after {step} of {steps} steps; this is the best so far. Choose an edit, or press "
    "**Use this face** to begin again.",
    "photo_ready": "The face of your photo. Choose an edit, or click points; the change goes back into the photo.",
    "sliding": "The face follows …",
    "slid": "**Start** lets the drag do the rest from here. Undo brings the face before it back.",
    "stopped_sliding": "Stopped.",
    "sliders_how": "The face follows, several add up, a double click resets. **Start** lets the drag do the rest.",
    "sliders_some": "The face follows, several add up, a double click resets. **Start** lets the drag do the rest. "
    "Nothing was learned of {others}; their buttons work.",
    "sliders_none": "Nothing was learned of this model yet, so the sliders are off; the buttons work. Once: "
    "`python draggan/learn_directions.py --model {model}`, then start the app again.",
    "sliders_broken": "The sliders are off: {reason}",
    "done_at_once": "Done at once, by what was learned of this edit. Undo brings the face before it back.",
    "done": "Done after {step} steps. Undo brings the face before it back.",
    "not_done": "Ended after {step} steps with {share:.0%} of the way: {reason}. Press the edit again to go "
    "further, or try a lower strength or another seed.",
    "points_not_done": "Ended after {step} steps with {share:.0%} of the way: {reason}. **Start** goes on from here.",
    "stopped": "Stopped after {step} steps. **Start** goes on from here.",
    "returned": "Back at this result.",
    "not_here": "{model} is not here yet ({size}). **Fetch this model** gets it; until then the picture stays.",
    "fetching": "Fetching {model}: {done:.1f} of about {total:.1f} MB …",
    # why a drag ended
    "the landmarks have arrived": "the landmarks have arrived",
    "on target": "the points have arrived",
    "no progress": "no progress",
    "step limit": "the step limit",
    "the direction got farther than the drag alone": "what was learned got farther than the drag",
    "the face was lost": "the face was lost",
    "numbers ran away": "the numbers ran away; try a lower learning rate",
    # what a person can mend
    "bad_seed": "The seed must be a whole number from 0 to 4294967295.",
    "bad_psi": "The truncation must be from 0 to 2.",
    "no_face": "No face was found in this picture. Try another seed, or click points by hand.",
    "no_face_model": "{model} does not make faces, so one-click edits do not apply. Points by hand work.",
    "outside": "The point ({x:.0f}, {y:.0f}) is outside the picture: x and y go from 0 to {most}.",
    "bad_points": "points must be [[[handle x, y], [target x, y]], ...].",
    "bad_strength": "The strength of {edit} must be from {lowest:g} to {most:g}.",
    "unknown_edit": "There is no edit {name}. There are: {known}.",
    "bad_model": "The model {model} cannot be used: {reason}",
    "no_landmarks": "Landmarks cannot be looked for: {reason}",
    "nothing_to_move": "There is no point to move yet.",
    "fetching_already": "Another model is being fetched. Try again when that is done.",
    "no_slider": "Nothing was learned of {edit} for {model}: press its button.",
    "many_points": "{most} points are enough. Undo one, or press Start.",
    "nothing_marked": "Nothing is marked yet: press an edit, or click a handle and its target.",
    "empty_region": "Nothing is painted. Paint what may change, then press the button again.",
    **{f"photo_{kind}": f"{text[0].upper()}{text[1:]}." for kind, text in PHOTO_MESSAGES.items()},
    "no_photo": "Put a photo in first: drop it, paste it or take one.",
    "no_photo_shown": "The picture is not of a photo. Put one in, and press **Use this face**.",
    "no_such_face": "The photo has {count} faces: choose one from 0, the largest, upward.",
    "photo_needs_faces": "{model} does not make faces, so photos cannot be brought into it. Choose a model of faces.",
    "bad_preset": "The preset must be one of: {known}.",
    "running": "Something is running already. Press Stop first.",
    "busy": "Too many people are dragging: {waiting} wait already. Try again in a minute.",
    "full": "Too many people are here at once. Try again in a few minutes.",
    "closed": "This session has ended. Reload the page.",
    "nothing_to_undo": "Nothing to undo.",
    "nothing_to_redo": "Nothing to redo.",
    "no_such_result": "This result is no longer there.",
    "failed": "That did not work: {reason}",
}

ZH = {
    "title": "## DragGAN",
    "tagline": "按一个编辑，或在图像上点击，然后按**开始**。",
    "picture": "图像：先点起点，再点目标",
    "model": "模型",
    "fetch": "下载此模型",
    "seed": "种子",
    "random": "随机人脸",
    "generated": "生成的人脸",
    "my_photo": "我的照片",
    "photo": "照片：拖入、粘贴或拍摄",
    "faces": "照片中的人脸：请选择",
    "preset": "相似程度",
    "fast": "快速",
    "best": "最佳（较慢）",
    "bring_in": "使用这张脸",
    "whole": "整张照片",
    "download_photo": "下载整张照片",
    "one_click": "一键编辑",
    "sliders": "滑块",
    "strength": "强度",
    "at_once": "立即开始",
    "at_once_info": "按编辑后无需再按开始",
    "show_landmarks": "显示关键点",
    "start": "开始",
    "stop": "停止",
    "undo": "撤销",
    "redo": "重做",
    "compare": "前后对比",
    "animation": "动画",
    "download": "下载 PNG",
    "download_animation": "下载动画",
    "history": "历史：点击返回",
    "advanced": "高级",
    "by_hand": "手动取点",
    "x": "x（像素）",
    "y": "y（像素）",
    "place": "放置点",
    "move_last_point": "移动最后一点",
    "undo_point": "撤销点",
    "clear_points": "清除点",
    "paint": "绘制区域",
    "use_region": "使用绘制的区域",
    "clear_region": "整幅图像可变",
    "brush": "涂出可以改变的部分",
    "defaults": "恢复默认值",
    "slim": "瘦脸",
    "smile": "微笑",
    "close-eyes": "闭眼",
    "open-eyes": "睁眼",
    "big-eyes": "大眼",
    "open-mouth": "张嘴",
    "raise-brows": "扬眉",
    "why_not": "一键编辑需要人脸模型：它们按人脸关键点取点。",
    "lr": "学习率",
    "lr_info": "每步的幅度；越大越快，也越粗糙",
    "w_plus": "W+",
    "w_plus_info": "各层样式独立变化；关闭则整张脸一起变化",
    "free_rows": "可变样式层",
    "free_rows_info": "从第一层起可变的层数；0：按模型默认",
    "mask_weight": "遮罩权重 λ",
    "mask_weight_info": "区域之外保持不变的强度",
    "supervision_radius": "监督半径",
    "supervision_radius_info": "随点一起移动的像素范围（按 512）",
    "tracking_radius": "跟踪半径",
    "tracking_radius_info": "寻找点的像素范围（按 512）",
    "max_steps": "步数上限",
    "max_steps_info": "到此步数即结束",
    "tolerance": "容差",
    "tolerance_info": "距目标多少像素算到达（按 512）",
    "ready": "选择一个编辑，或在图像上依次点击起点和目标。",
    "ready_no_face": "此模型不生成人脸，一键编辑不可用；可以手动取点：先点起点，再点目标。",
    "press_start": "红点移向蓝点，只有明亮区域会改变。请按**开始**。",
    "press_start_points": "继续取点，或按**开始**：红点移向蓝点。",
    "move_last": "请点击最后一点的新位置。",
    "click_target": "请点击该点的目标位置。",
    "click_handle": "请点击要移动的点。",
    "region_set": "只有明亮区域会改变。点击后按**开始**。",
    "region_off": "整幅图像都可以改变。",
    "dragging": "正在拖动……",
    "waiting": "排队中：前面还有 {place} 个。",
    "progress": "第 {step} 步 · 平均距离 {distance:.1f} 像素",
    "progress_photo": "第 {step} / {steps} 步 · 约剩 {left:.0f} 秒",
    "photo_open": "{notices}请按**使用这张脸**：将其带入模型后即可编辑。",
    "photo_faces": "{notices}已选第 {chosen} 张脸，共 {count} 张。可另选一张，或按**使用这张脸**。",
    "photo_search": "正在把人脸带入模型。按**停止**保留目前最好的结果。",
    "photo_not_begun": "已停止。按**使用这张脸**重新开始。",
    "photo_early": "第 {step} / {steps} 步后停止，这是目前最好的结果。请选择一个编辑，或按**使用这张脸**重新开始。",
    "photo_ready": "这是您照片中的脸。请选择一个编辑，或在图上点击；改变会放回照片。",
    "sliding": "人脸正在跟随……",
    "slid": "按**开始**由拖动完成其余部分。撤销可回到之前的脸。",
    "stopped_sliding": "已停止。",
    "sliders_how": "人脸随滑块变化，可同时使用多个，双击归零。按**开始**由拖动完成其余部分。",
    "sliders_some": "人脸随滑块变化，可同时使用多个，双击归零。按**开始**由拖动完成其余部分。"
    "未学到方向的编辑请按其按钮：{others}。",
    "sliders_none": "尚未为此模型学习方向，滑块不可用；按钮可用。运行一次："
    "`python draggan/learn_directions.py --model {model}`，再重新启动应用。",
    "sliders_broken": "滑块不可用：{reason}",
    "done_at_once": "凭学到的方向立即完成。撤销可回到之前的脸。",
    "done": "{step} 步完成。撤销可回到之前的脸。",
    "not_done": "{step} 步后结束，完成 {share:.0%}（{reason}）。可再按一次编辑，或降低强度、换一个种子。",
    "points_not_done": "{step} 步后结束，完成 {share:.0%}（{reason}）。按**开始**从此处继续。",
    "stopped": "{step} 步后停止。按**开始**从此处继续。",
    "returned": "已回到此结果。",
    "not_here": "{model} 尚未下载（{size}）。请按**下载此模型**；在此之前图像不变。",
    "fetching": "正在下载 {model}：{done:.1f} / 约 {total:.1f} MB……",
    "the landmarks have arrived": "关键点已到达",
    "on target": "各点已到达",
    "no progress": "没有进展",
    "step limit": "已达步数上限",
    "the direction got farther than the drag alone": "学到的方向比拖动走得更远",
    "the face was lost": "人脸丢失",
    "numbers ran away": "数值发散，请降低学习率",
    "bad_seed": "种子必须是 0 到 4294967295 的整数。",
    "bad_psi": "截断值必须在 0 到 2 之间。",
    "no_face": "图中未找到人脸。请换一个种子，或手动点击。",
    "no_face_model": "{model} 不是人脸模型，无法一键编辑；可以手动点击。",
    "outside": "点 ({x:.0f}, {y:.0f}) 在图像之外：x 和 y 的范围是 0 到 {most}。",
    "bad_points": "points 的格式应为 [[[起点 x, y], [目标 x, y]], ...]。",
    "bad_strength": "{edit} 的强度范围是 {lowest:g} 到 {most:g}。",
    "unknown_edit": "没有名为 {name} 的编辑。可用：{known}。",
    "bad_model": "模型 {model} 无法使用：{reason}",
    "no_landmarks": "无法查找关键点：{reason}",
    "nothing_to_move": "还没有点可以移动。",
    "fetching_already": "正在下载另一个模型，请稍后再试。",
    "no_slider": "{model} 没有学到{edit}的方向：请按其按钮。",
    "many_points": "最多 {most} 个点。请撤销一个或按开始。",
    "nothing_marked": "尚未标记：请按一个编辑，或点击起点和目标。",
    "empty_region": "尚未涂抹。请涂出可以改变的部分再按此按钮。",
    "photo_too_many_bytes": "{name} 超过 {most} MB，对照片来说太大。",
    "photo_unreadable": "无法读取 {name}（{reason}）；请提供一张照片。",
    "photo_heic": "{name} 是 HEIC 照片，此处无法读取；请另存或导出为 JPEG。",
    "photo_no_picture": "{name} 不是可读取的图像；请使用 JPEG、PNG 或 WebP。",
    "photo_too_large": "{name} 超过 {most} 兆像素的上限{size}；请缩小后再试。",
    "photo_too_small": "{name} 只有 {width} x {height} 像素，不足以看清人脸；每边至少 {least} 像素。",
    "photo_damaged": "{name} 已损坏或不完整；请重新保存或下载。",
    "photo_no_face": "在 {name} 中未找到人脸（{detector}）；脸应正对镜头且不被遮挡。",
    "photo_small_face": "{name} 中的人脸太小（两眼间 {widest:.0f} 像素，至少 {least}）；请用更大的照片。",
    "photo_bad_face": "{name} 中的人脸无法使用：{reason}。",
    "photo_animated": "{name} 是动图或有多页：只取第一幅。",
    "photo_exif": "{name} 的 EXIF 数据无法读取：方向可能不对。",
    "photo_bits": "{name} 每种颜色超过 8 位：编辑后的照片为 8 位。",
    "photo_cmyk": "{name} 是 CMYK 照片：编辑后的照片为 RGB。",
    "photo_profile": "{name} 的颜色配置已损坏：按 sRGB 处理。",
    "no_photo": "请先放入照片：拖入、粘贴或拍摄。",
    "no_photo_shown": "当前图像不是照片。请先放入照片并按**使用这张脸**。",
    "no_such_face": "照片中有 {count} 张脸：从 0（最大）起选择。",
    "photo_needs_faces": "{model} 不是人脸模型，无法带入照片。请选择人脸模型。",
    "bad_preset": "preset 必须是其中之一：{known}。",
    "running": "正在进行中。请先按停止。",
    "busy": "使用人数过多：已有 {waiting} 个在等待。请稍后再试。",
    "full": "同时在线人数过多。请几分钟后再试。",
    "closed": "会话已结束。请刷新页面。",
    "nothing_to_undo": "没有可撤销的。",
    "nothing_to_redo": "没有可重做的。",
    "no_such_result": "该结果已不存在。",
    "failed": "未成功：{reason}",
}


def say(key: str, language: str = "en", **values) -> str:
    """The text of a key, in Chinese for a language that begins with zh."""
    table = ZH if language.lower().startswith("zh") else EN

    def word(value):
        if isinstance(value, tuple):
            return "".join(f"{message.text(language)} " for message in value)
        if isinstance(value, list):
            return ("、" if table is ZH else ", ").join(map(word, value))
        return table.get(value, value) if isinstance(value, str) else value

    return table[key].format(**{name: word(value) for name, value in values.items()})


def error_message(error: Exception) -> Message:
    """What a person reads of an error: a TranslatedError, or anything else that went wrong."""
    if isinstance(error, TranslatedError):
        return error.message
    if isinstance(error, NoFaceError):
        return Message("no_face")
    return Message("failed", {"reason": (str(error) or type(error).__name__).splitlines()[0]})
