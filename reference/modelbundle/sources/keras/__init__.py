"""Files that Keras writes: archives, HDF5 weights and models, configs."""
