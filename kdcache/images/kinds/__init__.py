"""The kinds of image sources, one file each: how users write one, and how kd opens it."""
