"""Upper limits: every number read from a cache or a request is compared with these before anything is allocated for it.

All are far above what a cache of 14 million images and 300 views has. SECURITY.md shows them as a table, which a test compares.
"""

ROWS = 1 << 33
"""Images in a cache."""
GENERATIONS = 1000
"""How many times rows may have been added to a cache."""
VIEWS = 100_000
"""Views of one image."""
PARTS = 1 << 24
"""Parts of all views together: a petabyte at the usual 64 MiB a part."""
VIEW_PARTS = 1 << 20
"""Parts of one view."""
SIGNALS = 64
"""Signals in a cache."""
CODECS = 16
"""Codecs applied to a signal one after another: the first one and those of later conversions."""
NAME_LETTERS = 100
"""Letters in the name of a signal."""
AXES = 8
"""Axes of a signal."""
BLOCK_BYTES = 128 << 20
"""Bytes of one block of rows, and therefore of one row of a field."""
PART_BYTES = 64 << 30
"""Bytes of all rows of one part, uncompressed."""
BATCH = 1 << 16
"""Images in a teacher batch."""
SIDE = 8192
"""Side length of a teacher's input, in pixels."""
LAYERS = 100
"""RandAugment operations applied to one view."""
RECORD_BYTES = 16 << 20
"""Bytes of plan.json, and of one receipt."""
PART_ROWS = 1 << 24
"""Images in a part."""
WORKERS = 1024
"""Worker processes."""
PAINTED = 100_000_000
"""Pictures that the embedded set `shapes` can have."""
CLASSES = 1_000_000
"""Classes of a teacher whose records are imported."""
VOCABULARY = 1 << 32
"""Number of different codes (the vocabulary) of a signal."""
TOKENS = 1 << 16
"""Token ids a teacher may be shown beside one image."""
