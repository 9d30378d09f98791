"""Live Keras models: capture, restore, binding of weights by name, and the way out again.

Keras is imported here and nowhere below; `import modelbundle` alone does not import it.
"""
