"""Foreign artifacts, read as files, tensors and components without their frameworks."""
