from samples import Sample, normal


def samples(chainer):
    F = chainer.functions
    n_samples = []
    for name, n, n_states in ('lstm', 8, 2), ('gru', 6, 1), ('rnn', 2, 1):
        for directions in 1, 2:
            run = getattr(F, f'n_step_{"bi" if directions == 2 else ""}{name}')
            for activation in ('tanh', 'relu') if name == 'rnn' else (None,):
                n_samples.append(sequence(f'{run.__name__}_{activation}', run, n, n_states, directions, activation))
    return [
        Sample('lstm', F.lstm, normal(3, 2), normal(3, 8)),
        Sample('lstm_ended', F.lstm, normal(4, 2, 3), normal(3, 8, 3)),
        Sample('lstm_all_ended', F.lstm, normal(2, 3), normal(0, 12)),
        Sample('slstm', F.slstm, normal(3, 2), normal(3, 2), normal(3, 8), normal(3, 8)),
        Sample('slstm_nd', F.slstm, normal(2, 2, 3), normal(2, 2, 3), normal(2, 8, 3), normal(2, 8, 3)),
        Sample('tree_lstm_1', F.tree_lstm, normal(3, 2), normal(3, 8)),
        Sample('tree_lstm_3', F.tree_lstm, *[normal(3, 2)] * 3, normal(3, 12)),
        Sample('tree_lstm_nd', F.tree_lstm, normal(2, 2, 3), normal(2, 2, 3), normal(2, 10, 3), chainer=False),
        *n_samples,
    ]


def sequence(name, run, n, n_states, directions, activation):
    """Two layers over four sequences, of lengths 3, 2, 2 and 1."""
    sizes, in_size, size = (4, 3, 1), 3, 2
    shapes = []
    for layer in range(2):
        for _ in range(directions):
            from_size = in_size if layer == 0 else size * directions
            shapes += [(size, from_size)] * (n // 2) + [(size, size)] * (n // 2) + [(size,)] * n

    def function(*inputs):
        states, xs, parameters = inputs[:n_states], inputs[n_states : n_states + 3], inputs[n_states + 3 :]
        layers = [parameters[i : i + 2 * n] for i in range(0, len(parameters), 2 * n)]
        kwargs = {} if activation is None else {'activation': activation}
        *last, ys = run(2, 0.0, *states, [p[:n] for p in layers], [p[n:] for p in layers], list(xs), **kwargs)
        return (*last, *ys)

    state = normal(2 * directions, sizes[0], size)
    inputs = [*[state] * n_states, *(normal(b, in_size) for b in sizes), *(normal(*s) for s in shapes)]
    return Sample(name, function, *inputs, tolerance=4)
