"""The app; gragan_modify.py starts it. Only layout.py, handlers.py, endpoints.py and requests.py know Gradio.

layout.py, page.css         the page: what is on it and where; scripts.py: what it does by itself
handlers.py, endpoints.py   what the page's events and scripts call
requests.py                 what comes in a request, and what of it is refused
page_state.py, address.py   what each part of the page shows; where the app listens
sessions.py, models.py      the live sessions; the models, directions and landmarks that they share
session.py                  one person's work; made of the parts below, which do not know it
stage.py, history.py        the face that is shown, and the results before it
screen.py, marks.py         what is seen of it: picture, points and region, message; view.py: all of it at one moment
sliders.py, open_photo.py   how the sliders stand; the photo that a person has put in
jobs.py                     tasks at work, with pictures on the way; previews.py: when one is drawn
queue.py                    threads, locks, and the queue with its length
canvas.html, .js, region.js the picture with its points and region; regions.py: a region as the page has it
work.py, settings.py        the job of a session in the queue; numbers that people type
files.py, folder.py         pictures and animations as files that say they are AI-made; a session's folder
fetches.py, texts.py        fetching models with progress; all texts, in English and Chinese
"""
