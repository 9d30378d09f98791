"""Where bundles and sources are: directories, archives, URLs. Reading and writing of bytes."""
