"""Weights, settings and preprocessing as their publishers wrote them."""
