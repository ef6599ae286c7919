"""Caches of other projects: read theirs, write ours so that their readers find what they expect."""

from kdcache.exchange.divedoc import export_divedoc
from kdcache.exchange.tinyvit_export import export_tinyvit
from kdcache.exchange.tinyvit_folder import TinyViTFolder
from kdcache.exchange.tinyvit_import import import_tinyvit

__all__ = ["TinyViTFolder", "export_divedoc", "export_tinyvit", "import_tinyvit"]
