"""DragGAN for faces: the app, the batch command and the pieces below them."""
