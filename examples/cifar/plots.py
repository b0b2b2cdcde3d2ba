"""Pictures of pictures and of curves, as PNG; without matplotlib one line says what is missing."""


def figure(**kwargs):
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print('matplotlib is needed for plots: pip install chainlite[plot]')
        return None
    return Figure(layout='tight', **kwargs)


def sample_grid(path, pictures, labels=None, columns=8):
    """Pictures (n, 3, h, w) uint8 in rows, each under its label if there are labels."""
    rows = -(-len(pictures) // columns)
    fig = figure(figsize=(columns, (1 if labels is None else 1.2) * rows))
    if fig is None:
        return
    for axes in fig.subplots(rows, columns, squeeze=False).flat:
        axes.axis('off')
    for i, (axes, picture) in enumerate(zip(fig.axes, pictures)):
        axes.imshow(picture.transpose(1, 2, 0))
        if labels is not None:
            axes.set_title(labels[i], fontsize=8)
    fig.savefig(path)
    print(f'wrote {path}')


def curves(path, lines, xlabel, ylabel):
    """One line for each entry of {label: values}, a point for each value where they are few."""
    fig = figure(figsize=(6, 4))
    if fig is None:
        return
    axes = fig.subplots()
    for label, values in lines.items():
        axes.plot(range(1, len(values) + 1), values, label=label, marker='o' if len(values) < 20 else None)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.legend()
    fig.savefig(path)
    print(f'wrote {path}')
