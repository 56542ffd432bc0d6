"""Programs: a computation recorded as a flat list of instructions, to read, replay, check and compile.

Read `instruction` first (what a program is made of), then `recorder` and `program`.
"""

from tinygrad_edu.program.instruction import Assign, Input, Instruction, Values
from tinygrad_edu.program.program import Program
from tinygrad_edu.program.recording import record

__all__ = ["Assign", "Input", "Instruction", "Program", "Values", "record"]
