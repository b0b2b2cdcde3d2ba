"""Pictures of pictures and of curves, as PNG; without matplotlib one line says what is missing."""


def figure(**kwargs):
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print('matplotlib is needed for plots: pip install chainlite[plot]')
        return None
    return Figure(layout='tight', **kwargs)


def sample_grid(path, pictures, labels, columns=8):
    """Pictures (n, 3, h, w) uint8 in rows, each under its label."""
    fig = figure(figsize=(columns, 1.2 * -(-len(pictures) // columns)))
    if fig is None:
        return
    for axes in fig.subplots(-(-len(pictures) // columns), columns, squeeze=False).flat:
        axes.axis('off')
    for axes, picture, label in zip(fig.axes, pictures, labels):
        axes.imshow(picture.transpose(1, 2, 0))
        axes.set_title(label, fontsize=8)
    fig.savefig(path)
    print(f'wrote {path}')


def curves(path, lines, xlabel, ylabel):
    """One line for each entry of {label: values}."""
    fig = figure(figsize=(6, 4))
    if fig is None:
        return
    axes = fig.subplots()
    for label, values in lines.items():
        axes.plot(range(1, len(values) + 1), values, label=label)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.legend()
    fig.savefig(path)
    print(f'wrote {path}')
