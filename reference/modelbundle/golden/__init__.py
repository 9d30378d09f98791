"""Golden vectors: reference outputs with derived tolerances, and holding engines against them.

`tolerance` judges arrays and needs numpy only; `noise` traces a program on JAX; `reference64` runs
float64 in processes of its own; `artifact` makes the file of a bundle, `load_check` reads it.
"""
