"""The app below its page, which is gragan_modify.py.

handlers.py, endpoints.py   what the page's events and scripts call; the only ones that know Gradio
studio.py                   models, landmarks and the live sessions of one device
session.py, editing.py      one person's picture and history; its marks and drags; marks.py, history.py: parts of them
own_photo.py, sliding.py    one's own photo, and the sliders of instant edits: two more
view.py                     what a page shows of it
dragging.py                 a drag from Start to its end: pulls.py, its steps; previews.py, when it is drawn
looks.py                    how a picture is drawn, in little memory
turns.py, jobs.py           one drag or other long job at a time; the one of a session
drawing.py                  marks over a picture
files.py, folder.py         pictures and animations as files that say they are AI-made; a session's folder
fetches.py, texts.py        fetching models with progress; all that is said, in English and Chinese
"""
