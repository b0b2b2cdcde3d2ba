"""One step of a backward pass, for programs that drive it themselves. chainlite's own loop is in `_engine`."""


def backprop_step(func, target_input_indexes, grad_outputs, grad_inputs, is_debug):
    """Adds the gradients of one function's inputs to what is known of them.

    Args:
        func: FunctionNode.
        target_input_indexes: tuple of the indexes of the inputs that need a gradient.
        grad_outputs: tuple of gradients of the outputs (None: unknown).
        grad_inputs: dictionary from VariableNode to the list of gradients to be summed; updated.
        is_debug: taken for compatibility.
    """
    nodes = [func.inputs[i] for i in target_input_indexes]
    first = dict.fromkeys(nodes)
    known = tuple([_reduce(grad_inputs[x]) if first.pop(x, 0) is None else None for x in nodes])
    for x in set(nodes):
        grad_inputs[x].clear()
    for x, gx in zip(nodes, func.backward_accumulate(target_input_indexes, grad_outputs, known)):
        if gx is not None:
            grad_inputs[x].append(gx)


def _reduce(gradients):
    """Sum of a list of gradients; None if it is empty."""
    total = None
    for g in gradients:
        total = g if total is None else total + g
    return total
