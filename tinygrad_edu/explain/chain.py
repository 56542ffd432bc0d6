"""The chain rule over symbols: the engine's rules, asked in the engine's order, with symbols for arrays."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.engine.plan import fit, times
from tinygrad_edu.explain.symbol import Call, Symbol, is_leaf, symbol_of

Key = tuple[Any, ...]


def key(symbol: Symbol) -> Key:
    """What makes two symbols the same variable: the name, or the call and the output."""
    if symbol.call is not None:
        return (symbol.call.seq, symbol.slot)
    return ("name", symbol.name) if symbol.name is not None else ("constant", id(symbol))


def pull(call: Call, g: Any, z: Any, wanted: Collection[Key] | None = None) -> Iterator[tuple[Symbol, Symbol]]:
    """(input, its gradient) for each input of a call that has a rule; `g` and `z` are tuples for several outputs."""
    op = call.op
    first = len(op.inputs) - (op.variadic is not None)
    saved = (*map(as_the_engine_saves, call.inputs), z)
    for i, given in enumerate(call.inputs):
        rule = op.rules.get(op.input_name(i))
        if rule is None or (wanted is not None and key(given) not in wanted):
            continue
        answer = rule.bound(i - first)(g, saved, call)
        r = symbol_of(times(g, answer) if rule.kind == "slope" else answer)
        if tuple(r.shape) != tuple(given.shape):
            r = fit(r, given.shape)
        yield given, r if r.dtype == given.dtype else ops.cast(r, dtype=given.dtype)


def as_the_engine_saves(symbol: Symbol) -> Any:
    """Numbers reach the rules as numbers."""
    return symbol.value if symbol.is_number and not isinstance(symbol.value, np.ndarray) else symbol


def behind(root: Symbol, stop: Collection[Key]) -> dict[Key, Symbol]:
    """All symbols the root was computed from, up to those in `stop`."""
    found = {key(root): root}
    stack = [root]
    while stack:
        symbol = stack.pop()
        if symbol.call is None or (symbol is not root and key(symbol) in stop):
            continue
        for given in symbol.call.inputs:
            if key(given) not in found:
                found[key(given)] = given
                stack.append(given)
    return found


def on_the_way(found: dict[Key, Symbol], targets: Collection[Key]) -> set[Key]:
    """The symbols that lead to a target."""
    useful = set(targets)
    for k, symbol in sorted(found.items(), key=lambda item: item[1].call.seq if item[1].call else 0):
        if symbol.call is not None and any(key(given) in useful for given in symbol.call.inputs):
            useful.add(k)
    return useful


def differentiate(root: Symbol, upstream: Any, wrt: list[Symbol]) -> list[Symbol | None]:
    """The gradient of each of `wrt`, given that of `root`; None for one that root does not depend on."""
    targets = [key(s) for s in wrt]
    found = behind(root, targets)
    useful = on_the_way(found, targets)
    table: dict[Key, Symbol] = {key(root): symbol_of(upstream)}
    calls = {s.call.seq: s.call for s in found.values() if s.call is not None and (s is root or key(s) not in targets)}
    for seq in sorted(calls, reverse=True):
        call = calls[seq]
        slots = range(len(call.arrays))
        parts = [table.get((seq, slot)) for slot in slots]
        if all(part is None for part in parts):
            continue
        several = call.op.outputs != 1
        zs = tuple(found.get((seq, k), Symbol(value=call.arrays[k], call=call, slot=k)) for k in slots)
        given = tuple(
            zeros(call.arrays[k]) if part is None else part
            for k, part in enumerate(parts)
            if k not in call.op.auxiliary
        )
        for source, r in pull(call, given if several else given[0], zs if several else zs[0], useful):
            old = table.get(key(source))
            table[key(source)] = r if old is None else old + r
    return [table.get(k) for k in targets]


def zeros(like: np.ndarray) -> Symbol:
    """The gradient of an output nobody used."""
    return Symbol(value=np.zeros(like.shape, like.dtype))


def leaves(root: Symbol) -> list[Symbol]:
    """The names the root is written in, once each, from left to right."""
    found: dict[Key, Symbol] = {}
    stack = [root]
    seen: set[int] = set()
    while stack:
        symbol = stack.pop()
        if id(symbol) in seen:
            continue
        seen.add(id(symbol))
        if symbol.call is not None and (symbol is root or not is_leaf(symbol)):
            stack += reversed(symbol.call.inputs)
        elif symbol.name is not None:
            found.setdefault(key(symbol), symbol)
    return list(found.values())
