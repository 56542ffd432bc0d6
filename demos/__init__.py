"""The experiments, one file each: the best examples of how to use the library.

python -m demos              the main job: all that `python -m demos list` names, on one page
python -m demos NAME ...     only these
"""
