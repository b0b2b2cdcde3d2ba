"""Coefficient of determination."""

from chainlite import backend
from chainlite.function_node import FunctionNode


class R2_score(FunctionNode):
    """1 - residual / total sum of squares, over the first axis; without a gradient."""

    check = 'pred: f (*s), true: f (*s)'

    def __init__(self, sample_weight, multioutput):
        if sample_weight is not None:
            raise NotImplementedError('r2_score: sample_weight is not supported')
        if multioutput not in ('uniform_average', 'raw_values'):
            raise ValueError('invalid multioutput argument')
        self.sample_weight, self.multioutput = sample_weight, multioutput

    def forward(self, inputs):
        pred, true = inputs
        xp = backend.get_array_module(pred)
        pred_dtype, wide = pred.dtype, pred.dtype if pred.dtype.itemsize > 2 else 'f'
        pred, true = pred.astype(wide, copy=False), true.astype(wide, copy=False)
        residual, total = ((pred - true) ** 2).sum(axis=0), ((true - true.mean(axis=0)) ** 2).sum(axis=0)
        flat = total == 0  # nothing to explain
        score = xp.where(flat, 0, 1 - residual / xp.where(flat, 1, total))
        if self.multioutput == 'uniform_average':
            score = score.mean()
        return (xp.asarray(score, pred_dtype),)


def r2_score(pred, true, sample_weight=None, multioutput='uniform_average'):
    """Coefficient of determination: 1 - sum (pred - true)^2 / sum (true - mean(true))^2, sums over the first axis.

    Args:
        pred: float array (n, *d) of predictions.
        true: float array (n, *d) of targets.
        sample_weight: None; weights are not supported.
        multioutput: 'uniform_average' for the mean over d, 'raw_values' for each.

    Returns:
        Variable, a scalar or (*d), of pred's dtype, without a gradient: 1 is perfect; targets that are all equal score
        0.
    """
    return R2_score(sample_weight, multioutput).apply((pred, true))[0]
