"""The engine.  Read value.py, primitive.py, node.py and backward.py, in that order."""
