from chainlite.link import Link
from chainlite.variable import Variable


class StatefulLink(Link):
    """Keeps Variables from call to call, and moves them between devices with the parameters."""

    _state_names = ()

    def device_resident_accept(self, visitor):
        super().device_resident_accept(visitor)
        for name in self._state_names:
            state = getattr(self, name)
            if state is not None:
                visitor.visit_variable(state)

    def reset_state(self):
        """Forgets the past: the next call starts a sequence."""
        for name in self._state_names:
            setattr(self, name, None)

    def _set_state(self, *states):
        for name, state in zip(self._state_names, states):
            if not isinstance(state, Variable):
                raise AssertionError(f'set_state: {name} must be a Variable, not {type(state)}')
        for name, state in zip(self._state_names, states):
            state.to_device(self.device)
            setattr(self, name, state)

    def _zeros(self, x, size):
        """A state for the rows of ``x`` where there is none."""
        return Variable(self.xp.zeros((len(x), size), x.dtype))
