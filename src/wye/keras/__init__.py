"""wye on Keras: the same names, computed by `keras.ops` on TensorFlow, JAX or torch.

It needs a backend: install one, and say which by KERAS_BACKEND before Keras is first imported.
"""

from __future__ import annotations

from ..errors import BackendError as BackendError
from ..errors import FileError as FileError
from ..errors import FlowError as FlowError
from ..errors import FormulaError as FormulaError
from ..errors import InputError as InputError
from ..errors import NonFiniteError as NonFiniteError
from ..errors import PartError as PartError
from ..errors import RangeError as RangeError
from ..errors import ShapeError as ShapeError
from ..errors import WyeError as WyeError
from ..errors import WyeWarning as WyeWarning
from ..formula.formula import Formula as Formula
from ..formula.schedule import Schedule as Schedule
from . import backend as backend  # before all that needs Keras: it says what is missing
from . import losses as losses
from .edges import Edges as Edges
from .evaluation import evaluate as evaluate
from .flow import Chain as Chain
from .flow import RandomChoice as RandomChoice
from .flow import Repeat as Repeat
from .flow import Switch as Switch
from .flow import When as When
from .flow import While as While
from .frozen import frozen as frozen
from .join import Join as Join
from .objective import Objective as Objective
from .save import inspect as inspect
from .save import load as load
from .save import load_weights as load_weights
from .save import save as save
from .table import Table as Table
