"""TinyViT: a convolutional stage, then three stages of attention in windows."""
