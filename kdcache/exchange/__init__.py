"""Exchange caches with other projects: import their formats, and export caches so that their code can read them."""

from kdcache.exchange.divedoc import export_divedoc
from kdcache.exchange.tinyvit_export import export_tinyvit
from kdcache.exchange.tinyvit_folder import TinyViTFolder
from kdcache.exchange.tinyvit_import import import_tinyvit

__all__ = ["TinyViTFolder", "export_divedoc", "export_tinyvit", "import_tinyvit"]
