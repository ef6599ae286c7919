"""Where the files of a cache lie: a local folder, or whatever else can do what `Place` asks."""
