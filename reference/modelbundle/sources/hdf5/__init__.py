"""A small, safe reader of HDF5 structure: where each dataset's bytes lie.

Written from the public HDF5 File Format Specification (version 3.0). It yields groups,
attributes and datasets; nothing is executed, links out of the file are refused, and memory stays
small whatever a header says.

    file = File(blob, "net.h5")
    [(d.path, d.shape) for d in file.datasets()]
"""
