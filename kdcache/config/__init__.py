"""Presets and settings: plain YAML in, checked records out, every mistake explained."""
