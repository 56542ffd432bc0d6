"""Pictures: the graph of a tensor, plots of a training, and a page that holds them all in one file.

    graph(tensor)               a drawing of how the tensor was computed, with values and gradients
    save(drawing or plot, path) as .svg, .png or .pdf; no `dot` program is needed
    curves, confusion, image_grid   plots
    Page                        headings, text, tables and figures in one self-contained index.html

graphviz, pygraphviz and matplotlib are imported when they are first needed, not before.
"""

from tinygrad_edu.viz.drawing import graph
from tinygrad_edu.viz.page import Page
from tinygrad_edu.viz.plots import confusion, confusion_counts, curves, image_grid
from tinygrad_edu.viz.rendering import render, save

__all__ = ["Page", "confusion", "confusion_counts", "curves", "graph", "image_grid", "render", "save"]
