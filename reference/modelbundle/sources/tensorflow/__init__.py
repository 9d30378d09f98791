"""What TensorFlow writes, read without it: checkpoints and SavedModels."""
