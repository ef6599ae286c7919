"""Places where the files of a cache lie: a local folder, or anything else that implements `Place`."""
