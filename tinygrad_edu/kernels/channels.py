"""Channels of a pixel in registers: what pooling, sums over images and softmax are fast by.

Where the channels of a pixel are next to each other in memory, whatever is done to pixels is done to many channels at
once. A *row* here is a tile (see `tile`) of a single row: one or two vectors of channels, which stay in registers
while a window of an image, or a column of pixels, is walked over:

    shape = row_shape(x, row_width(channels, x.itemsize))
    image, result = memory(x), memory(out)              # of arrays in C order; offsets count numbers from there
    row = channels_of(shape, image, at, count)          # so many channels from x[at] on
    row = plus(row, image, at + channels, count)        # and those of the next pixel added
    put(row, result, there, count)

`count` says how many of a row's channels there are. `ALL`, the empty tuple, means every one of them; a number means so
many, and costs a mask at every access. The two are of different types, so a function that gets a `count` is compiled
for each: loops call it for the channels that fill rows, and once more for what is left. Where a part of a row was
stored, what is behind it should not be read soon: a processor waits for all of a masked store.

Places are positions in an image, int16 or int32 in memory and always int32 in a row. NOWHERE is none.
"""

from __future__ import annotations

from typing import Any

from .tile import Operation, row_shape, row_width, tile_columns

__all__ = [
    "ALL",
    "NOWHERE",
    "all_nowhere",
    "both_nowhere",
    "channels_of",
    "clear",
    "divided",
    "larger",
    "largest",
    "lowest",
    "maxima",
    "memory",
    "minus",
    "moved",
    "nothing",
    "nowhere",
    "picked",
    "places_of",
    "plus",
    "put",
    "row_shape",
    "row_width",
    "tile_columns",
    "times",
    "total",
    "without",
]

ALL = ()
NOWHERE = -1


class _RowOperation(Operation):
    """A function of `channel_code`, which imports numba, for compiled code to call: looked up when first compiled."""

    @property
    def _numba_type_(self) -> Any:
        from numba.core.registry import cpu_target

        from . import channel_code

        typing: Any = cpu_target.typing_context
        typing.refresh()
        return typing.resolve_value_type(getattr(channel_code, self.__name__))


memory: Any = _RowOperation("memory")
clear: Any = _RowOperation("clear")
nothing: Any = _RowOperation("nothing")
channels_of: Any = _RowOperation("channels_of")
plus: Any = _RowOperation("plus")
divided: Any = _RowOperation("divided")
minus: Any = _RowOperation("minus")
times: Any = _RowOperation("times")
maxima: Any = _RowOperation("maxima")
largest: Any = _RowOperation("largest")
total: Any = _RowOperation("total")
put: Any = _RowOperation("put")
lowest: Any = _RowOperation("lowest")
larger: Any = _RowOperation("larger")
moved: Any = _RowOperation("moved")
places_of: Any = _RowOperation("places_of")
picked: Any = _RowOperation("picked")
without: Any = _RowOperation("without")
nowhere: Any = _RowOperation("nowhere")
both_nowhere: Any = _RowOperation("both_nowhere")
all_nowhere: Any = _RowOperation("all_nowhere")
