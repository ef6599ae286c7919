"""Backends arrange the fields of a part in HDF5 or Zarr files."""
