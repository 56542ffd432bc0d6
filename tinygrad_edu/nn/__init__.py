"""Neural networks, spelled like `torch.nn`."""

from tinygrad_edu.nn import functional, init, utils
from tinygrad_edu.nn.activation import *
from tinygrad_edu.nn.batchnorm import *
from tinygrad_edu.nn.container import *
from tinygrad_edu.nn.conv import *
from tinygrad_edu.nn.dropout import *
from tinygrad_edu.nn.layernorm import *
from tinygrad_edu.nn.linear import *
from tinygrad_edu.nn.loss import *
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.parameter import Parameter
from tinygrad_edu.nn.pooling import *
from tinygrad_edu.nn.sparse import *
