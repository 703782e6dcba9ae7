"""What a training run is made of.

loop.py            the loop that both training scripts share; options.py: what can be set
data.py            the pairs: splits, loaders, a sample of the labels
labels.py          which palette and which flat colours the labels have
palettes.py        the colours of known data sets; metrics.py: accuracies, mIoU
networks.py        networks with their optimisers, and the generator's average
checkpoint.py      the full state, collected and restored
validation.py      the scores and the pictures of a validation
run_folder.py      what a run leaves on disk, and going on with it; report.py: what it finds at its start
ranks.py           device, precision and the processes of a run
"""
