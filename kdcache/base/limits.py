"""What there may be, at most: every number that is read from a cache, or asked for, is held against these before anything is made
of it.

All are far above what a cache of 14 million images and 300 views has. SECURITY.md shows them as a table, which a test compares.
"""

ROWS = 1 << 33
"""images of a cache"""
GENERATIONS = 1000
"""times that rows were added"""
VIEWS = 100_000
"""views of an image"""
PARTS = 1 << 24
"""parts of all views together: a petabyte at the usual 64 MiB"""
VIEW_PARTS = 1 << 20
"""parts of one view"""
SIGNALS = 64
"""signals of a cache"""
CODECS = 16
"""codecs that a signal came by"""
NAME_LETTERS = 100
"""letters of the name of a signal"""
AXES = 8
"""axes of a signal"""
BLOCK_BYTES = 128 << 20
"""bytes of one block of rows, and so of one row of a field"""
PART_BYTES = 64 << 30
"""bytes of the rows of one part, uncompressed"""
BATCH = 1 << 16
"""images of a teacher batch"""
SIDE = 8192
"""pixels of one side of what a teacher sees"""
LAYERS = 100
"""operations of RandAugment on one view"""
RECORD_BYTES = 16 << 20
"""bytes of plan.json, and of one receipt"""
PART_ROWS = 1 << 24
"""images of a part"""
WORKERS = 1024
"""processes that work for this one"""
PAINTED = 100_000_000
"""pictures of the embedded set"""
CLASSES = 1_000_000
"""classes of a teacher whose records are imported"""
VOCABULARY = 1 << 32
"""different codes of a signal"""
TOKENS = 1 << 16
"""Token ids a teacher may be shown beside one image."""
