"""All texts of the app, in English and Chinese: one table, and therefore a long file.

There are the page's labels, the messages of sessions, and what is wrong. A text's value that is itself a key is
translated, too: the name of an edit, why a drag ended. So are the messages of a tuple, and a list of keys.
"""

import logging
from typing import NamedTuple

from common.commandline import UserError
from draggan.edits import OWN
from draggan.face import NoFaceError
from draggan.judge import SHORT
from draggan.photos import MESSAGES as PHOTO_MESSAGES

LOG = logging.getLogger(__name__)


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


# Of files that are none; what they hold is for those who have read docs/faces.md.
LATENTS_WANTED = "Give a file of **Save project** or **Download latent**; a photo goes into **My photo**."
LATENTS_WANTED_ZH = "请给出用**保存项目**或**下载隐变量**保存的文件；照片请放入**我的照片**。"

EN = {
    # labels
    "title": "# DragGAN",
    "tagline": "Press an edit, or drag a point of the face.",
    "model": "Model",
    "class": "Class",
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
    "points_first": "Show the points first",
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
    "defaults": "Reset to defaults",
    "slim": "Slim face",
    "smile": "Smile",
    "close-eyes": "Close eyes",
    "wink-left": "Wink (left)",
    "wink-right": "Wink (right)",
    "neutral": "Neutral",
    "open-eyes": "Open eyes",
    "big-eyes": "Big eyes",
    "open-mouth": "Open mouth",
    "raise-brows": "Raise brows",
    "why_not": "One-click edits need a model of faces: they place points by the landmarks of a face.",
    "lr": "Learning rate",
    "lr_info": "How far a step goes; higher is faster and rougher",
    "w_plus": "W+",
    "w_plus_info": "On: large and small features change apart, more exact; off: the whole face together, more natural",
    "free_rows": "Free style rows",
    "free_rows_info": "Few keep skin and light as they are; more let hair and colours follow. 0: what suits the model",
    "mask_weight": "λ of the mask",
    "mask_weight_info": "How firmly everything outside the bright region is held still",
    "supervision_radius": "Supervision radius",
    "supervision_radius_info": "How large a patch each point pulls along, in pixels of a picture of 512",
    "tracking_radius": "Tracking radius",
    "tracking_radius_info": "How far around its last place a point is looked for, in pixels of a picture of 512",
    "max_steps": "Step limit",
    "max_steps_info": "The drag ends after so many steps",
    "tolerance": "Tolerance",
    "tolerance_info": "How near its goal a point has arrived, in pixels of a picture of 512",
    "more_faces": "12 faces",
    "favourites": "Favourites",
    "favourite": "★ Keep",
    "pin": "Compare with this one",
    "unpin": "Compare as before",
    "delete": "Delete this result",
    "download_all": "Download all (ZIP)",
    "save_project": "Save project",
    "open_project": "Open project or latent",
    "save_latent": "Download latent",
    "caption": "{seed} · {done}",
    "caption_photo": "{done}",
    "caption_number": "({number})",
    "title_edit": "{name} {strength}",
    "title_seed": "unedited",
    "title_photo": "photo",
    "title_latent": "latent",
    "title_points": "points",
    "title_sliders": "sliders",
    "keys": "Keys (?)",
    "keys_list": "**Enter** start · **Esc** stop · **Z** undo · **Y** redo · **N** next random face · **B** hold: the "
    "face before · **?** this list",
    # the picture's tools
    "tool_picture": "The face. Press on a point and drag it to where it shall go.",
    "tool_points": "Points: press and drag; a right click or a long press removes one",
    "tool_paint": "Paint what may change",
    "tool_erase": "Erase from what may change",
    "tool_brush-size": "Brush size",
    "tool_invert": "Swap what may change with the rest",
    "tool_clear": "The whole picture may change",
    "tool_hide": "Show or hide the region",
    "tool_load": "Load a region from a black and white picture",
    "tool_save": "Save the region as PNG",
    "tool_before": "Hold to see the face before (B)",
    "tool_zoom-out": "Zoom out",
    "tool_zoom-in": "Zoom in",
    "tool_full": "Full screen",
    # notes
    "ready": "Choose an edit, or press on a point of the face and drag it to where it shall go.",
    "ready_no_face": "This model does not make faces, so one-click edits are off. Points by hand work: press on a "
    "point of the picture and drag it to where it shall go.",
    "choose_face": "Choose a face.",
    "pinned": "Choose another result: **Before / after** shows this one on the left and the other on the right, until "
    "**Compare as before**.",
    "unpinned": "Results are compared with what they began with.",
    "favourite_kept": "Kept as a favourite in this browser.",
    "favourite_gone": "No longer a favourite.",
    "press_start": "Red points go to the blue ones; only the bright region may change. Press **Start**.",
    "press_start_points": "Press **Start**: red points go to the blue ones. Or mark more points.",
    "far_target": "A blue point is far away: the picture seldom comes that far and stays whole. **Start** ends with "
    "the last state that is.",
    "move_last": "Click where the last point belongs: it moves there.",
    "click_target": "Now click where this point shall go.",
    "click_handle": "Press on a point and drag it to where it shall go.",
    "region_set": "Only the bright region may change. Click points, then press **Start**.",
    "region_off": "The whole picture may change.",
    "dragging": "Dragging …",
    "editing": "{edit} …",
    "stopping": "Stopping …",
    "waiting": "Waiting: {place} before you.",
    "progress": "step {step} · mean distance {distance:.1f} px",
    "progress_photo": "step {step} of {steps} · about {left:.0f} s left",
    "photo_open": "{notices}Press **Use this face**: it is brought into the model, and can then be edited.",
    "photo_unused": (
        "{name} is not used yet: press **Use this face** for that. To edit the face that is shown, press the edit "
        "once more."
    ),
    "photo_replaces": "The results of {old} leave the history. Save the project first to keep them, or press "
    "**Use this face** once more.",
    "photo_faces": "{notices}Face {chosen} of {count} is chosen. Choose another, or press **Use this face**.",
    "photo_search": "Bringing the face into the model. **Stop** keeps the best so far.",
    "photo_not_begun": "Stopped. **Use this face** begins again.",
    "photo_early": "Stopped after {step} of {steps} steps; this is the best so far. Choose an edit, or press "
    "**Use this face** to begin again.",
    "photo_ready": "The face of your photo. Choose an edit, or click points; the change goes back into the photo.",
    "sliding": "The face follows …",
    "slid": "**Start** lets the drag do the rest from here. Undo brings the face before it back.",
    "slid_short": "Farther on it would be another face, or none: the sliders went back to where it is whole. Lower one "
    "of them to move another one farther.",
    "stopped_sliding": "Stopped.",
    "sliders_how": "The face follows, several add up, a double click resets. **Start** lets the drag do the rest.",
    "sliders_some": "The face follows, several add up, a double click resets. **Start** lets the drag do the rest. "
    "Nothing was learned of {others}; their buttons work.",
    "sliders_none": "Nothing was learned of this model yet, so the sliders are off; the buttons work. Once: "
    "`python draggan/learn_directions.py --model {model}`, then start the app again.",
    "sliders_broken": "The sliders are off: {reason}",
    "done_at_once": "Done: {edit}. Undo brings the face before it back.",
    "done": "Done: {edit}, with {step} steps of dragging. Undo brings the face before it back.",
    "points_done": "Done after {step} steps. Undo brings the face before it back.",
    "not_done": "{edit} ended after {step} steps with {share:.0%} of the way: {reason}. Press the edit again to go "
    "further, or try a lower strength or another seed.",
    "points_not_done": "Ended after {step} steps with {share:.0%} of the way, {distance:.1f} px are left: {reason}. "
    "**Start** goes on from here.",
    "closed_already": "The eyes are closed already, so nothing was changed. A wink begins with open eyes: **Undo** "
    "goes back to them, **Open eyes** opens them.",
    "stopped": "Stopped after {step} steps. **Start** goes on from here.",
    "returned": "Back at this result.",
    # in place of what Gradio itself says
    "gradio_error": "Not done",
    "gradio_kind": "{name} is no picture; JPEG, PNG, WebP, TIFF and HEIC are fine.",
    "gradio_size": "This file is too large to be sent.",
    "gradio_lost": "The connection to the app was lost; it is tried again.",
    "gradio_reset": "Back to the default",
    "opening": "Opening …",
    "project_opened": "Opened, with its results in the history ({count}); points and settings are as they were saved.",
    "latents_opened": "Opened {count} of {all} faces of this file; they are in the history.",
    "not_here": "{model} is not here yet ({size}). **Fetch this model** gets it; until then the picture stays.",
    "fetching": "Fetching {model}: {done:.1f} of about {total:.1f} MB …",
    # why a drag ended
    "the landmarks have arrived": "the landmarks have arrived",
    "on target": "the points have arrived",
    "no progress": "no progress",
    "step limit": "the step limit",
    "another face": "farther on it would be another face",
    **{why: why for why in SHORT.values()},
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
    "bad_class": "This model has no such class: choose one of the list.",
    "no_landmarks": "Landmarks cannot be looked for: {reason}",
    "nothing_to_move": "There is no point to move yet.",
    "fetching_already": "Another model is being fetched. Try again when that is done.",
    "no_slider": "Nothing was learned of {edit} for {model}: press its button.",
    "many_points": "{most} points are enough. Undo one, or press Start.",
    "no_favourites": "There are no favourites yet: ★ keeps the shown face.",
    "no_seed": "This face has no seed, so it cannot be a favourite. Download it instead.",
    "last_result": "The last result stays.",
    "no_animation": "There is no animation: it comes with the next edit.",
    "bad_project": "{name} is no project that was saved with **Save project**, or it is damaged.",
    "bad_kind": "An animation can be mp4, gif or webp, not {kind}.",
    "nothing_marked": "Nothing is marked yet: press an edit, or press on a point of the face and drag it.",
    "half_marked": "The red point has nowhere to go yet: click where it shall go.",
    "bad_number": "{name} must be a number from {least:g} to {most:g}.",
    "empty_region": "Nothing is painted: paint what may change.",
    "bad_region": "This region cannot be read: it must be a PNG of at most 2048 pixels a side.",
    "bad_request": "The app cannot take these inputs. On the page, reload it; for scripts, docs/app-and-api.md says "
    "what each call takes.",
    "bad_operation": "The page and the app do not understand each other. Reload the page.",
    **{f"photo_{kind}": f"{text[0].upper()}{text[1:]}." for kind, text in PHOTO_MESSAGES.items()},
    "latents_unreadable": f"{{name}} cannot be read as latents ({{reason}}). {LATENTS_WANTED}",
    "latents_empty": f"{{name}} holds no numbers that are latents. {LATENTS_WANTED}",
    "latents_many": "{name} holds more than {most} faces; give fewer at once.",
    "latents_shape": f"What {{name}} holds, {{shape}}, is no face of this model. {LATENTS_WANTED}",
    "latents_rows": "{name} was made with another model than {model} ({rows} rows in place of {own}): choose that "
    "model first.",
    "latents_not_finite": "{name} has values that are no numbers; make it again.",
    "no_photo": "Put a photo in first: drop it, paste it or take one.",
    "not_sent": "That file has not been sent here, or is gone already. Send it once more.",
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
    "title": "# DragGAN",
    "tagline": "按一个编辑，或拖动脸上的一个点。",
    "model": "模型",
    "class": "类别",
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
    "points_first": "先显示点",
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
    "defaults": "恢复默认值",
    "slim": "瘦脸",
    "smile": "微笑",
    "close-eyes": "闭眼",
    "wink-left": "眨眼（图左）",
    "wink-right": "眨眼（图右）",
    "neutral": "平静",
    "open-eyes": "睁眼",
    "big-eyes": "大眼",
    "open-mouth": "张嘴",
    "raise-brows": "扬眉",
    "more_faces": "12 张脸",
    "favourites": "收藏夹",
    "favourite": "★ 收藏",
    "pin": "与此结果对比",
    "unpin": "恢复原来的对比",
    "delete": "删除此结果",
    "download_all": "全部下载（ZIP）",
    "save_project": "保存项目",
    "open_project": "打开项目或隐变量",
    "save_latent": "下载隐变量",
    "caption": "{seed} · {done}",
    "caption_photo": "{done}",
    "caption_number": "（{number}）",
    "title_edit": "{name} {strength}",
    "title_seed": "未编辑",
    "title_photo": "照片",
    "title_latent": "隐变量",
    "title_points": "取点",
    "title_sliders": "滑块",
    "keys": "按键（?）",
    "keys_list": "**Enter** 开始 · **Esc** 停止 · **Z** 撤销 · **Y** 重做 · **N** 随机人脸 · "
    "**B** 按住查看之前的脸 · **?** 此列表",
    "tool_picture": "人脸。按住一个点，拖到它应去的位置。",
    "tool_points": "取点：按住并拖动；右击或长按可删除",
    "tool_paint": "涂出可以改变的部分",
    "tool_erase": "擦除可以改变的部分",
    "tool_brush-size": "画笔大小",
    "tool_invert": "与其余部分互换",
    "tool_clear": "整幅图像可变",
    "tool_hide": "显示或隐藏区域",
    "tool_load": "从黑白图像载入区域",
    "tool_save": "将区域保存为 PNG",
    "tool_before": "按住查看之前的脸（B）",
    "tool_zoom-out": "缩小",
    "tool_zoom-in": "放大",
    "tool_full": "全屏",
    "why_not": "一键编辑需要人脸模型：它们按人脸关键点取点。",
    "lr": "学习率",
    "lr_info": "每步的幅度；越大越快，也越粗糙",
    "w_plus": "W+",
    "w_plus_info": "开启：大小特征分别变化，更准确；关闭：整张脸一起变化，更自然",
    "free_rows": "可变样式层",
    "free_rows_info": "少则皮肤和光线保持不变，多则头发和颜色随之变化；0：按模型默认",
    "mask_weight": "遮罩权重 λ",
    "mask_weight_info": "明亮区域之外保持不动的强度",
    "supervision_radius": "监督半径",
    "supervision_radius_info": "每个点带动多大的一块（按 512 像素的图像）",
    "tracking_radius": "跟踪半径",
    "tracking_radius_info": "在点的上一位置周围多大范围内寻找它（按 512 像素的图像）",
    "max_steps": "步数上限",
    "max_steps_info": "到此步数即结束",
    "tolerance": "容差",
    "tolerance_info": "离目标多近算到达（按 512 像素的图像）",
    "ready": "选择一个编辑，或按住脸上的一个点，拖到它应去的位置。",
    "ready_no_face": "此模型不生成人脸，一键编辑不可用；可以手动取点：按住一个点，拖到它应去的位置。",
    "choose_face": "请选择一张脸。",
    "pinned": "请选择另一个结果：**前后对比**中左边是此结果，右边是另一个，直到按**恢复原来的对比**。",
    "unpinned": "结果与其开始时的脸对比。",
    "favourite_kept": "已收藏在此浏览器中。",
    "favourite_gone": "已取消收藏。",
    "press_start": "红点移向蓝点，只有明亮区域会改变。请按**开始**。",
    "press_start_points": "请按**开始**：红点移向蓝点。也可继续取点。",
    "far_target": "有蓝点太远：图像很少能移到那里而保持完好。按**开始**后，会停在最后一个完好的状态。",
    "move_last": "请点击最后一点的新位置。",
    "click_target": "请点击该点的目标位置。",
    "click_handle": "请按住一个点，拖到它应去的位置。",
    "region_set": "只有明亮区域会改变。点击后按**开始**。",
    "region_off": "整幅图像都可以改变。",
    "dragging": "正在拖动……",
    "editing": "{edit}……",
    "stopping": "正在停止……",
    "waiting": "排队中：前面还有 {place} 个。",
    "progress": "第 {step} 步 · 平均距离 {distance:.1f} 像素",
    "progress_photo": "第 {step} / {steps} 步 · 约剩 {left:.0f} 秒",
    "photo_open": "{notices}请按**使用这张脸**：将其带入模型后即可编辑。",
    "photo_unused": "还没有使用 {name}：请按**使用这张脸**。若要编辑当前显示的脸，请再按一次该编辑。",
    "photo_replaces": "继续后，{old} 的结果将从历史中移除。如需保留请先保存项目；再按**使用这张脸**即继续。",
    "photo_faces": "{notices}已选第 {chosen} 张脸，共 {count} 张。可另选一张，或按**使用这张脸**。",
    "photo_search": "正在把人脸带入模型。按**停止**保留目前最好的结果。",
    "photo_not_begun": "已停止。按**使用这张脸**重新开始。",
    "photo_early": "第 {step} / {steps} 步后停止，这是目前最好的结果。请选择一个编辑，或按**使用这张脸**重新开始。",
    "photo_ready": "这是您照片中的脸。请选择一个编辑，或在图上点击；改变会放回照片。",
    "sliding": "人脸正在跟随……",
    "slid": "按**开始**由拖动完成其余部分。撤销可回到之前的脸。",
    "slid_short": "再往前就不再是同一张完整的脸：滑块已退回到脸还完整的位置。可降低一个滑块，再移动另一个。",
    "stopped_sliding": "已停止。",
    "sliders_how": "人脸随滑块变化，可同时使用多个，双击归零。按**开始**由拖动完成其余部分。",
    "sliders_some": "人脸随滑块变化，可同时使用多个，双击归零。按**开始**由拖动完成其余部分。"
    "未学到方向的编辑请按其按钮：{others}。",
    "sliders_none": "尚未为此模型学习方向，滑块不可用；按钮可用。运行一次："
    "`python draggan/learn_directions.py --model {model}`，再重新启动应用。",
    "sliders_broken": "滑块不可用：{reason}",
    "done_at_once": "已完成：{edit}。撤销可回到之前的脸。",
    "done": "已完成：{edit}（拖动 {step} 步）。撤销可回到之前的脸。",
    "points_done": "{step} 步完成。撤销可回到之前的脸。",
    "not_done": "{edit}：{step} 步后结束，完成 {share:.0%}（{reason}）。可再按一次编辑，或降低强度、换一个种子。",
    "points_not_done": "{step} 步后结束，完成 {share:.0%}，还差 {distance:.1f} 像素"
    "（{reason}）。按**开始**从此处继续。",
    "closed_already": "眼睛已经闭上，没有改变。要眨眼请先按**撤销**返回，或按**睁眼**。",
    "stopped": "{step} 步后停止。按**开始**从此处继续。",
    "returned": "已回到此结果。",
    "gradio_error": "未完成",
    "gradio_kind": "{name} 不是图像；可使用 JPEG、PNG、WebP、TIFF 或 HEIC。",
    "gradio_size": "此文件太大，无法上传。",
    "gradio_lost": "与应用的连接已断开，正在重试。",
    "gradio_reset": "恢复默认值",
    "opening": "正在打开……",
    "project_opened": "已打开：{count} 个结果在历史中，点和设置与保存时一样。",
    "latents_opened": "已打开此文件中 {all} 张脸里的 {count} 张，见历史。",
    "not_here": "{model} 尚未下载（{size}）。请按**下载此模型**；在此之前图像不变。",
    "fetching": "正在下载 {model}：{done:.1f} / 约 {total:.1f} MB……",
    "the landmarks have arrived": "关键点已到达",
    "on target": "各点已到达",
    "no progress": "没有进展",
    "step limit": "已达步数上限",
    "another face": "再往前就会变成另一张脸",
    "the jaw has moved too little": "下颌的变化不够",
    "the width of the mouth has changed too little": "嘴宽的变化不够",
    "the corners of the mouth have moved too little": "嘴角的移动不够",
    "the lips have parted too little": "嘴唇张开得不够",
    "the lids have moved too little": "眼睑的移动不够",
    "the lids of the eye on the left have moved too little": "画面左侧眼睛的眼睑移动不够",
    "the lids of the eye on the right have moved too little": "画面右侧眼睛的眼睑移动不够",
    "the points have moved too little": "各点的移动不够",
    "something else in the face has moved along": "脸上其他部分也跟着变了",
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
    "bad_class": "此模型没有这个类别：请从列表中选择。",
    "no_landmarks": "无法查找关键点：{reason}",
    "nothing_to_move": "还没有点可以移动。",
    "fetching_already": "正在下载另一个模型，请稍后再试。",
    "no_slider": "{model} 没有学到{edit}的方向：请按其按钮。",
    "many_points": "最多 {most} 个点。请撤销一个或按开始。",
    "no_favourites": "还没有收藏：★ 收藏当前的脸。",
    "no_seed": "这张脸没有种子，不能收藏；请下载。",
    "last_result": "最后一个结果不能删除。",
    "no_animation": "还没有动画：下一次编辑后会有。",
    "latents_unreadable": f"{{name}} 不能作为隐变量读取（{{reason}}）；{LATENTS_WANTED_ZH}",
    "latents_empty": f"{{name}} 中没有可作为隐变量的数值；{LATENTS_WANTED_ZH}",
    "latents_many": "{name} 中超过 {most} 张脸；请一次少给一些。",
    "latents_shape": f"{{name}} 中的内容（{{shape}}）不是此模型的脸；{LATENTS_WANTED_ZH}",
    "latents_rows": "{name} 不是用 {model} 生成的（{rows} 行，应为 {own} 行）：请先选择生成它的模型。",
    "latents_not_finite": "{name} 中含有无效数值；请重新生成。",
    "bad_project": "{name} 不是用**保存项目**保存的文件，或已损坏。",
    "bad_kind": "动画可以是 mp4、gif 或 webp，不能是 {kind}。",
    "nothing_marked": "尚未标记：请按一个编辑，或按住脸上的一个点并拖动。",
    "half_marked": "红点还没有目标：请点击它应去的位置。",
    "bad_number": "{name}必须是 {least:g} 到 {most:g} 的数。",
    "empty_region": "尚未涂抹：请涂出可以改变的部分。",
    "bad_region": "无法读取此区域：必须是每边不超过 2048 像素的 PNG。",
    "bad_request": "程序无法接受这些输入。在页面上请刷新；脚本请参阅 docs/app-and-api.zh-CN.md 中各接口的参数。",
    "bad_operation": "页面与程序不一致。请刷新页面。",
    "photo_too_many_bytes": "{name} 超过 {most} MB，对照片来说太大。",
    "photo_unreadable": "无法读取 {name}（{reason}）；请提供一张照片。",
    "photo_heic": "{name} 是 HEIC 照片，此处无法读取；请另存或导出为 JPEG。",
    "photo_no_picture": "{name} 不是可读取的图像；请使用 JPEG、PNG 或 WebP。",
    "photo_too_large": "{name} 超过 {most} 兆像素的上限{size}；请缩小后再试。",
    "photo_too_small": "{name} 只有 {width} x {height} 像素，不足以看清人脸；每边至少 {least} 像素。",
    "photo_damaged": "{name} 已损坏或不完整；请重新保存或下载。",
    "photo_no_face": "在 {name} 中未找到人脸（{detector}），旋转和放大后也没有；应能看到双眼、鼻子和嘴。",
    "photo_small_face": "{name} 中最大的人脸也太小：两外眼角间 {widest:.0f} 像素，至少需要 {least}；"
    "请用原尺寸的照片，或靠近些拍摄。",
    "photo_turned_face": "{name} 中疑似人脸处转得太偏、被遮挡或模糊（{detector}）；请用能看到双眼、鼻子和嘴的照片。",
    "photo_bad_face": "{name} 中的人脸无法使用：{reason}。",
    "photo_animated": "{name} 是动图或有多页：只取第一幅。",
    "photo_exif": "{name} 的 EXIF 数据无法读取：方向可能不对。",
    "photo_bits": "{name} 每种颜色超过 8 位：编辑后的照片为 8 位。",
    "photo_holes": "{name} 含有无效数值的像素：作为黑色，无穷大作为白色。",
    "photo_cmyk": "{name} 是 CMYK 照片：编辑后的照片为 RGB。",
    "photo_profile": "{name} 的颜色配置已损坏：按 sRGB 处理。",
    "no_photo": "请先放入照片：拖入、粘贴或拍摄。",
    "not_sent": "未收到该文件，或文件已被删除。请重新上传。",
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

for edit in OWN.values():  # edits of one's own bring their titles along
    EN.setdefault(edit.name, edit.title)
    ZH.setdefault(edit.name, edit.title_zh)


def say(key: str, language: str = "en", **values) -> str:
    """The text of a key, in Chinese for a language that begins with zh."""
    table = ZH if language.lower().startswith("zh") else EN

    def word(value):
        if isinstance(value, tuple):
            return "".join(f"{message.text(language)} " for message in value)
        if isinstance(value, list):
            return ("、" if table is ZH else ", ").join(map(word, value))
        return table.get(value, value) if isinstance(value, str) else value

    text = table[key].format(**{name: word(value) for name, value in values.items()})
    return text.encode(
        "utf-8", "backslashreplace"
    ).decode()  # half a letter, out of a request, could not be sent


def error_message(error: Exception) -> Message:
    """What a person reads of an error: a TranslatedError, or anything else that went wrong.

    The log tells of what nobody can mend there, and of nothing else.
    """
    if isinstance(error, TranslatedError):
        return error.message
    if isinstance(error, NoFaceError):
        return Message("no_face")
    if not isinstance(error, UserError):
        LOG.error("this went wrong", exc_info=error)
    return Message("failed", {"reason": (str(error) or type(error).__name__).splitlines()[0]})
