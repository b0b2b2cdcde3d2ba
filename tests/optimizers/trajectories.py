"""Five updates of one parameter by every optimizer, in whichever package is given: real Chainer or this one.

Run with Chainer 7.8.1, this file writes data/trajectories.npz, which test_trajectories.py compares with.
"""

import pathlib
import sys

import numpy as np

STEPS = 5
FILE = pathlib.Path(__file__).parent / 'data' / 'trajectories.npz'

OPTIMIZERS = {
    'AdaDelta': ('AdaDelta', {}),
    'AdaDelta_rho': ('AdaDelta', {'rho': 0.5, 'eps': 1e-3}),
    'AdaGrad': ('AdaGrad', {'lr': 0.1}),
    'Adam': ('Adam', {}),
    'Adam_all': (
        'Adam',
        {'alpha': 0.02, 'beta1': 0.8, 'beta2': 0.95, 'eps': 1e-4, 'eta': 0.5, 'weight_decay_rate': 0.1},
    ),
    'AdamW': ('AdamW', {'weight_decay_rate': 0.05}),
    'AMSGrad': ('AMSGrad', {'alpha': 0.01, 'beta2': 0.7}),
    'AdaBound': ('AdaBound', {'alpha': 0.1, 'gamma': 0.5, 'final_lr': 0.08}),
    'AMSBound': ('AMSBound', {'alpha': 0.1, 'gamma': 0.5, 'final_lr': 0.08, 'beta2': 0.8, 'eta': 0.9}),
    'CorrectedMomentumSGD': ('CorrectedMomentumSGD', {'lr': 0.05, 'momentum': 0.8}),
    'MomentumSGD': ('MomentumSGD', {}),
    'MSVAG': ('MSVAG', {}),
    'MSVAG_all': ('MSVAG', {'lr': 0.2, 'beta': 0.7, 'eta': 0.5, 'weight_decay_rate': 0.1}),
    'NesterovAG': ('NesterovAG', {'lr': 0.05, 'momentum': 0.8}),
    'RMSprop': ('RMSprop', {'eps': 1e-5}),
    'RMSprop_inside': ('RMSprop', {'eps': 1e-3, 'eps_inside_sqrt': True, 'alpha': 0.9}),
    'RMSpropGraves': ('RMSpropGraves', {'lr': 0.01}),
    'SGD': ('SGD', {'lr': 0.3}),
    'SMORMS3': ('SMORMS3', {'lr': 0.1}),
}
HOOKS = {
    'WeightDecay': ('WeightDecay', (0.1,)),
    'Lasso': ('Lasso', (0.1,)),
    'GradientClipping': ('GradientClipping', (0.5,)),
    'GradientHardClipping': ('GradientHardClipping', (-0.3, 0.4)),
    'GradientNoise': ('GradientNoise', (0.3,)),
    'GradientLARS': ('GradientLARS', (0.01, 0.2)),
}


def inputs(dtype):
    """Start and gradients, the same numbers in every dtype."""
    random = np.random.RandomState(0)
    return [random.randn(*shape).astype('e').astype(dtype) for shape in ((3, 4), (STEPS, 3, 4))]


def run(package, optimizer, dtype, hook=None, loss_scale=None, fp32=False, change=None, device=None):
    """The parameter after each update, and the optimizer. Gradients come through backward if there is a loss scale."""
    start, grads = inputs(dtype)
    link = package.Link()
    with link.init_scope():
        link.w = package.Parameter(start.copy())
    if device is not None:
        link.to_device(device)
    name, arguments = OPTIMIZERS[optimizer]
    opt = getattr(package.optimizers, name)(**arguments)
    opt.setup(link)
    if fp32:
        opt.use_fp32_update()
    if loss_scale is not None:
        opt.loss_scaling(scale=loss_scale)
    if hook is not None:
        name, arguments = HOOKS[hook]
        opt.add_hook(getattr(package.optimizer_hooks, name)(*arguments))
    np.random.seed(1)  # for GradientNoise
    found = []
    for i, g in enumerate(grads):
        if change is not None and i == STEPS // 2:
            setattr(opt, change, getattr(opt, change) / 10)
        if loss_scale is None:
            link.w.grad = link.w.xp.array(g)
            opt.update()
        else:
            opt.update(
                lambda g=g: package.functions.sum(link.w * package.Variable(link.w.xp.asarray(g), requires_grad=False))
            )
        found.append(package.backends.cuda.to_cpu(link.w.array).copy())
    return np.array(found), opt


def cases():
    """Yields (key, arguments of run)."""
    for optimizer in OPTIMIZERS:
        for dtype in 'efd':
            yield f'{optimizer}/{dtype}', dict(optimizer=optimizer, dtype=dtype)
        yield f'{optimizer}/fp32', dict(optimizer=optimizer, dtype='e', fp32=True)
        yield f'{optimizer}/scale', dict(optimizer=optimizer, dtype='f', loss_scale=8.0)
    for hook in HOOKS:
        for dtype in 'efd':
            yield f'SGD/{dtype}/{hook}', dict(optimizer='SGD', dtype=dtype, hook=hook)
        yield f'Adam/scale/{hook}', dict(optimizer='Adam', dtype='f', hook=hook, loss_scale=4.0)
        yield f'MomentumSGD/fp32/{hook}', dict(optimizer='MomentumSGD', dtype='e', hook=hook, fp32=True)
    for optimizer, name in [('AdaBound', 'alpha'), ('Adam_all', 'eta'), ('CorrectedMomentumSGD', 'lr')]:
        yield f'{optimizer}/f/{name} changes', dict(optimizer=optimizer, dtype='f', change=name)


def main():
    import chainer

    stored = {}
    for key, arguments in cases():
        with np.errstate(all='ignore'):
            stored[key], opt = run(chainer, **arguments)
        for name, value in opt.target.w.update_rule.state.items():
            stored[f'{key}:{name}'] = value
    np.savez_compressed(FILE, **stored)
    print(f'{len(stored)} arrays of Chainer {chainer.__version__} in {FILE.name}')


if __name__ == '__main__':
    sys.exit(main())
