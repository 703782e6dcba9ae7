"""What a training run is made of.

loop.py            the loop that both training scripts share; options.py: what can be set
run_folder.py      what a run leaves on disk, and going on with it
validation.py      the numbers and the pictures of a validation
metrics.py         palettes, accuracies, mIoU; label_colours.py: which flat colours labels have
ranks.py           device, precision and the processes of a run
"""
