"""What there may be, at most: every number that is asked for, or read from a file, is held against these.

All are far above what a cache of 14 million images and 300 views has.
"""

VIEWS = 100_000
"""views of an image"""
BATCH = 1 << 16
"""images of a teacher batch"""
SIDE = 8192
"""pixels of one side of what a teacher sees"""
PART_ROWS = 1 << 24
"""images of a part"""
WORKERS = 1024
"""processes that work for this one"""
PAINTED = 100_000_000
"""pictures of the embedded set"""
CLASSES = 1_000_000
"""classes of a teacher whose records are imported"""
