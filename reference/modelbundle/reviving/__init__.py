"""Models that current Keras can no longer load: their configs translated, their weights kept.

The translation works on JSON alone; no framework is imported for it.
"""
