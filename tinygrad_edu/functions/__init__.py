"""The public functions of tensors, spelled like PyTorch, on top of the primitives in `ops`."""
