"""The optimizers: each a ``GradientMethod`` over an update rule of its own."""

from chainlite.optimizers.ada_delta import AdaDelta as AdaDelta
from chainlite.optimizers.ada_grad import AdaGrad as AdaGrad
from chainlite.optimizers.adam import AMSBound as AMSBound
from chainlite.optimizers.adam import AMSGrad as AMSGrad
from chainlite.optimizers.adam import AdaBound as AdaBound
from chainlite.optimizers.adam import Adam as Adam
from chainlite.optimizers.adam import AdamW as AdamW
from chainlite.optimizers.corrected_momentum_sgd import CorrectedMomentumSGD as CorrectedMomentumSGD
from chainlite.optimizers.momentum_sgd import MomentumSGD as MomentumSGD
from chainlite.optimizers.msvag import MSVAG as MSVAG
from chainlite.optimizers.nesterov_ag import NesterovAG as NesterovAG
from chainlite.optimizers.rmsprop import RMSprop as RMSprop
from chainlite.optimizers.rmsprop_graves import RMSpropGraves as RMSpropGraves
from chainlite.optimizers.sgd import SGD as SGD
from chainlite.optimizers.smorms3 import SMORMS3 as SMORMS3
