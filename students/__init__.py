"""Students and their training from a stream. Arrives with its own issue; `kdcache` never imports from here."""
