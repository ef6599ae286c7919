"""Change a cache without asking the teacher again: more views to come, another backend or codec, parts built elsewhere."""

import shutil
from pathlib import Path

import numpy as np

from kdcache.codecs import make_codec
from kdcache.codecs.codec import Fields
from kdcache.errors import Mismatch, UsageError
from kdcache.progress import Progress
from kdcache.store import Store
from kdcache.store.layout import choose_layout
from kdcache.store.plan import PartId, Plan, StoredSignal
