"""From a request to a run record: images, cache, views and recipe are chosen and checked; nothing is written."""
