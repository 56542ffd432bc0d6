"""Optimizers and learning rate schedules, spelled like `torch.optim`."""

from tinygrad_edu.optim import lr_scheduler
from tinygrad_edu.optim.adam import Adam, AdamW
from tinygrad_edu.optim.adaptive import Adadelta, Adagrad, RMSprop
from tinygrad_edu.optim.optimizer import Optimizer
from tinygrad_edu.optim.sgd import SGD
