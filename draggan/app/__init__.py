"""The app below its page, which is gragan_modify.py.

handlers.py, endpoints.py   what the page's events and scripts call; the only ones that know Gradio
studio.py                   models, landmarks and the live sessions of one device
session.py                  one person's picture, marks and drag; marks.py, history.py: two parts of it
dragging.py                 a drag from Start to its end: pulls.py, its steps; previews.py, when it is drawn
turns.py                    one drag at a time
drawing.py, files.py        marks over a picture; pictures and animations as files that say they are AI-made
fetches.py, texts.py        fetching models with progress; all that is said, in English and Chinese
"""
