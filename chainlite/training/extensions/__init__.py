"""Extensions of a trainer."""

from chainlite.training.extensions import _snapshot, snapshot_writers, util, variable_statistics_plot
from chainlite.training.extensions._snapshot import snapshot, snapshot_object
from chainlite.training.extensions.computational_graph import DumpGraph
from chainlite.training.extensions.evaluator import Evaluator
from chainlite.training.extensions.exponential_shift import ExponentialShift
from chainlite.training.extensions.fail_on_nonnumber import FailOnNonNumber
from chainlite.training.extensions.inverse_shift import InverseShift
from chainlite.training.extensions.linear_shift import LinearShift
from chainlite.training.extensions.log_report import LogReport
from chainlite.training.extensions.micro_average import MicroAverage
from chainlite.training.extensions.multistep_shift import MultistepShift
from chainlite.training.extensions.parameter_statistics import ParameterStatistics
from chainlite.training.extensions.plot_report import PlotReport
from chainlite.training.extensions.polynomial_shift import PolynomialShift
from chainlite.training.extensions.print_report import PrintReport
from chainlite.training.extensions.progress_bar import ProgressBar
from chainlite.training.extensions.step_shift import StepShift
from chainlite.training.extensions.value_observation import observe_lr, observe_value
from chainlite.training.extensions.variable_statistics_plot import VariableStatisticsPlot
from chainlite.training.extensions.variable_unchain import unchain_variables
from chainlite.training.extensions.warmup_shift import WarmupShift

dump_graph = DumpGraph  # Chainer's older name
