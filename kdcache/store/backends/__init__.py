"""How the fields of a part are arranged in HDF5 or Zarr files."""
