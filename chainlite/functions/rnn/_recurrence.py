"""The recurrence of a layer over whole sequences: one node."""

from itertools import accumulate

from chainlite import backend
from chainlite._fused import Fused
from chainlite.backends.cpu.product import product, product_into
from chainlite.functions.array.concat import concat
from chainlite.functions.connection.linear import linear
from chainlite.functions.rnn._cell import gradient
from chainlite.utils import type_check


class Recurrence(Fused):
    """Runs a cell over time.

    Inputs: x (total, g n), the input's share of the gates of all steps, one below the other; W (g n, n), by which the
    last output gives the rest of the gates; its bias (g n), if the cell takes the two shares apart; the states (batch,
    n). Outputs: the outputs of all steps (total, n), then the last states.

    Args:
        cell: elementwise node class: gates (the input's, then the output's, unless they are added up before), then the
            states `reads`, to the new states (the output first) and whatever its gradient needs.
        sizes: number of sequences of each step.
        backwards: whether the last step comes first.
        n_gates: g.
        states: number of states.
        reads: indexes of the states that the cell takes.
        apart: whether the cell takes the two shares of the gates apart.
    """

    def __init__(self, cell, sizes, backwards, n_gates, states, reads, apart):
        self.cell, self.sizes, self.backwards = cell, sizes, backwards
        self.n_gates, self.states, self.reads, self.apart = n_gates, states, reads, apart

    @property
    def label(self):
        return self.cell.__name__.replace('Cell', 'Recurrence')

    def check_type_forward(self, in_types):
        x, W, h = in_types[0], in_types[1], in_types[2 + self.apart]
        type_check.argname((x, W, h), ('x', 'w', 'hx'))
        type_check.expect(x.dtype.kind == 'f', W.dtype == x.dtype, W.ndim == 2, W.shape[1] * self.n_gates == W.shape[0])
        type_check.expect(x.shape[1] == W.shape[0], max(self.sizes, default=0) <= h.shape[0])
        for i in range(2 + self.apart, 2 + self.apart + self.states):
            state = in_types[i]
            type_check.expect(state.dtype == x.dtype, state.ndim == 2, state.shape[1] == W.shape[1])
            type_check.expect(state.shape[0] == h.shape[0])

    def _split(self, x, W, *rest):
        """The inputs: x, W, bias or None, states."""
        return x, W, rest[0] if self.apart else None, rest[self.apart :]

    def _steps(self):
        """The rows of each step and their number, in the order in which the steps are taken."""
        steps = [(slice(stop - size, stop), size) for size, stop in zip(self.sizes, accumulate(self.sizes))]
        return steps[::-1] if self.backwards else steps

    def _gates(self, gates):
        """Parts of (k, g n), (k, n) each."""
        n = gates.shape[1] // self.n_gates
        return [gates[:, k * n : (k + 1) * n] for k in range(self.n_gates)]

    def formula(self, *inputs):
        x, W, b, states = self._split(*inputs)
        hs = []
        for step, size in self._steps():
            now = [s[:size] for s in states]
            gates = linear(now[0], W, b)
            gates = self._gates(x[step]) + self._gates(gates) if self.apart else self._gates(x[step] + gates)
            new = self.cell().apply([*gates, *(now[i] for i in self.reads)])[: self.states]
            hs.append(new[0])
            states = [y if len(y) == len(s) else concat([y, s[size:]], axis=0) for y, s in zip(new, states)]
        return concat(hs[::-1] if self.backwards else hs, axis=0), *states

    def forward_kernel(self, *inputs):
        dtype = inputs[0].dtype
        x, W, b, states = self._split(*_computable(inputs))
        xp, equations = backend.get_array_module(x), self.cell.equations()
        states = [s.copy() for s in states]
        before = [xp.empty((len(x), W.shape[1]), x.dtype) for _ in states]
        gates = xp.empty_like(x)
        outputs = {y: xp.empty_like(before[0]) for y in equations.outputs}
        for step, size in self._steps():
            for s, kept in zip(states, before):
                kept[step] = s[:size]
            product_into(before[0][step], W.T, gates[step])
            gates[step] += b if self.apart else x[step]
            arguments = self._arguments(x[step], gates[step], [s[step] for s in before])
            equations.run_into(arguments, (), tuple([y[step] for y in outputs.values()]))
            for s, y in zip(states, outputs.values()):
                s[:size] = y[step]
        hs = next(iter(outputs.values()))
        return tuple([y.astype(dtype, copy=False) for y in (hs, *states)]), (gates, before, outputs)

    def _arguments(self, x, gates, states):
        return (self._gates(x) if self.apart else []) + self._gates(gates) + [states[i] for i in self.reads]

    def backward_kernel(self, saved, gy, *inputs):
        dtype = inputs[0].dtype
        x, W, b, states = self._split(*_computable(inputs))
        xp, equations = backend.get_array_module(x), self.cell.equations()
        gates, before, outputs = saved
        ghs, *gstates = [None if g is None else g.astype(x.dtype, copy=False) for g in gy]
        gstates = [xp.zeros_like(s) if g is None else g.copy() for s, g in zip(states, gstates)]
        ggates = xp.empty_like(gates)
        gx = xp.empty_like(gates) if self.apart else ggates
        for step, size in reversed(self._steps()):
            gnew = [g[:size] for g in gstates]
            if ghs is not None:
                gnew[0] += ghs[step]
            arguments = self._arguments(x[step], gates[step], [s[step] for s in before])
            back, arguments = gradient(equations, arguments, {y: v[step] for y, v in outputs.items()}, gnew)
            gread = [xp.empty_like(gnew[0]) for _ in self.reads]
            back.run_into(arguments, (), tuple(self._arguments_into(gx[step], ggates[step], gread)))
            gnew[0][...] = product(ggates[step], W)
            for i, g in zip(self.reads, gread):
                if i:
                    gnew[i][...] = g
                else:
                    gnew[i] += g
        gxs = [gx, product(ggates.T, before[0]), *([ggates.sum(0)] if self.apart else []), *gstates]
        return [g.astype(dtype, copy=False) for g in gxs]

    def _arguments_into(self, gx, ggates, gread):
        return (self._gates(gx) if self.apart else []) + self._gates(ggates) + gread


def _computable(arrays):
    """float32 in place of float16: NumPy multiplies matrices of 16 bits slowly and inexactly."""
    return [a.astype('f') if a.dtype.itemsize == 2 else a for a in arrays]
