"""What every script needs, whichever wing it belongs to.

commandline.py     options from a dataclass, one-line errors, files written whole or not at all
signals.py         Ctrl-C, SIGTERM and SIGHUP: one line and an exit code, at any moment
interrupts.py      the same while a script still loads its libraries; imported first
fetching.py        downloads that can be broken off and are checked
receiving.py       one connection of a download: what is believed of a server's answer
whole.py           whether a file can be opened to its end
archives.py        archives from elsewhere, unpacked into one folder
packages.py        files out of Python packages, by pip
models.py          the table of models that download_models.py fetches
folding.py         batch norms folded into the convolutions before them
torchvision_ops.py lets torchvision work beside a CPU-only torch
"""
