"""Views: seeded renderings of an image. Parameters are drawn first (pure, no image), then applied at any resolution."""

from kdcache.views.apply import apply
from kdcache.views.draw import draw
from kdcache.views.drawn import Drawn
from kdcache.views.mix import Ids, mix_of, view_pixels
from kdcache.views.replay import DriftedRow, drifts, replay

__all__ = ["Drawn", "DriftedRow", "Ids", "apply", "draw", "drifts", "mix_of", "replay", "view_pixels"]
