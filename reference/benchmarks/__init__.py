"""Benchmarks: each number that the project promises, measured beside its peer in one run.

    python -m benchmarks --runs 5 --json figures.json

`measuring` runs processes and takes medians, `models` writes the inputs, `serving` counts HTTP
requests; `packing`, `reading`, `many_tensors` and `sizes` each return figures; `__main__` prints.
"""
